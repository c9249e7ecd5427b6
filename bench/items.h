/* The items that the load generator asks for and the stub servers answer with.
 *
 * Item number i of a run with values of `size` bytes has the key "load:<size>:cache:<i, 8 digits>" and a value that is a
 * window of one pattern, elsewhere for each i: a reply that belongs to another key cannot pass for the right one.
 * The pattern holds line ends and words of the protocol, which a proxy that does not count bytes would trip over.
 */
#ifndef ITEMS_H
#define ITEMS_H
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    ITEM_DIGITS = 8,
    ITEM_COUNT_MAX = 65521, /* a prime, so that i * 31 modulo it is another window for each i */
    ITEM_SIZE_MAX = 1 << 20,
};

#define ITEM_PREFIX "load:%u:cache:"

static char *item_pattern;

static void items_make(void) {
    static const char *const traps[] = {"\r\nEND\r\n", "\r\nSTORED\r\n", "\r\nVALUE x 0 1\r\n", "\r\nERROR\r\n"};
    const size_t size = ITEM_COUNT_MAX + ITEM_SIZE_MAX;
    uint64_t state = 1;
    item_pattern = malloc(size);
    for (size_t i = 0; i < size; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX generator */
        item_pattern[i] = (char)('0' + (state >> 33) % 75);
    }
    for (size_t i = 20, n = 0; i + 32 < size; i += 59, n++) memcpy(item_pattern + i, traps[n % 4], strlen(traps[n % 4]));
}

static inline const char *item_value(uint32_t number) { return item_pattern + number * 31ull % ITEM_COUNT_MAX; }

/* Write the number with leading zeros. */
static inline void item_digits(char *to, uint32_t number) {
    for (int i = ITEM_DIGITS - 1; i >= 0; i--, number /= 10) to[i] = (char)('0' + number % 10);
}

/* Read it; UINT32_MAX if these are no digits. */
static inline uint32_t item_number(const char *from) {
    uint32_t number = 0;
    for (int i = 0; i < ITEM_DIGITS; i++) {
        if (from[i] < '0' || from[i] > '9') return UINT32_MAX;
        number = number * 10 + (uint32_t)(from[i] - '0');
    }
    return number;
}
#endif
