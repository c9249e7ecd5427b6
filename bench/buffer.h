/* Bytes that wait: appended at the end, taken from the beginning. */
#ifndef BUFFER_H
#define BUFFER_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char *bytes;
    size_t begin, end, room;
} Buffer;

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* Make room for so many bytes after the end; returns where they go. */
static char *reserve(Buffer *b, size_t size) {
    if (b->begin == b->end) b->begin = b->end = 0;
    if (b->end + size > b->room) {
        while (b->end + size > b->room) b->room = b->room ? b->room * 2 : 16384;
        if (!(b->bytes = realloc(b->bytes, b->room))) die("memory");
    }
    return b->bytes + b->end;
}

/* Forget what was taken. */
static void settle(Buffer *b) {
    memmove(b->bytes, b->bytes + b->begin, b->end - b->begin);
    b->end -= b->begin;
    b->begin = 0;
}

static char *put(char *to, const char *from, size_t size) { return (char *)memcpy(to, from, size) + size; }
#endif
