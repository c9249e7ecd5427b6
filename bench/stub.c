/* Servers that speak memcached's text protocol and cost next to nothing, so that whatever stands before them is what is measured.
 *
 *   cc -O2 -Wall -Wextra -o stub stub.c
 *   stub PORT [PORT …]      (ports on 127.0.0.1; one thread for all; ends with SIGTERM)
 *
 * The load generator's items (items.h) always exist and are never stored: a get is answered with the value that belongs to
 * the key, a storage command with STORED. Other keys, such as what a balancer keeps on its servers for itself, are
 * really stored, in a small table for each port: get gets gat set add replace cas delete touch, mg ms md mn; version,
 * stats and flush_all are answered. Nothing expires.
 */
#define _GNU_SOURCE
#include "buffer.h"
#include "items.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PORTS_MAX = 16,
    STORED_MAX = 4096, /* foreign keys on one port; one more is refused */
    WORDS_MAX = 256,
    REPLY_ROOM = 512, /* a reply without its value */
};

typedef struct {
    const char *at;
    size_t size;
} Word;

typedef struct {
    char *key, *value;
    size_t key_size, size;
    unsigned long flags, cas;
} Stored;

typedef struct {
    int fd; /* listens */
    Stored table[STORED_MAX];
    unsigned used, flushes;
} Server;

typedef struct {
    int fd;
    Server *server; /* null: this is the listening socket of `own` */
    Server *own;
    bool writing;
    Buffer in, out;
} Connection;

static Server servers[PORTS_MAX];
static int poller;
static unsigned long cas_last;

static void say(Connection *c, const char *text) {
    size_t size = strlen(text);
    put(reserve(&c->out, size), text, size);
    c->out.end += size;
}

static bool is(Word w, const char *text) { return w.size == strlen(text) && !memcmp(w.at, text, w.size); }

static unsigned long number(Word w) { return strtoul(w.at, NULL, 10); }

/* ---- what is stored ---- */

/* Fill in what belongs to the key of a load generator's item. */
static bool is_item(Word key, Stored *found) {
    if (key.size < 5 || memcmp(key.at, "load:", 5)) return false;
    char *end;
    found->size = strtoul(key.at + 5, &end, 10);
    uint32_t index = item_number(key.at + key.size - ITEM_DIGITS);
    if (found->size > ITEM_SIZE_MAX || index >= ITEM_COUNT_MAX) return false;
    found->value = (char *)item_value(index);
    found->flags = 0;
    found->cas = 1;
    return true;
}

static Stored *find(Server *s, Word key) {
    static Stored item;
    if (is_item(key, &item)) return &item;
    for (Stored *e = s->table; e < s->table + s->used; e++)
        if (e->key_size == key.size && !memcmp(e->key, key.at, key.size)) return e;
    return NULL;
}

static void drop(Server *s, Stored *e) {
    if (e < s->table || e >= s->table + s->used) return; /* an item */
    free(e->key);
    free(e->value);
    *e = s->table[--s->used];
}

static bool store(Server *s, Word key, unsigned long flags, const char *value, size_t size) {
    Stored *e = find(s, key), item;
    if (is_item(key, &item)) return true;
    if (!e) {
        if (s->used == STORED_MAX) return false;
        e = &s->table[s->used++];
        *e = (Stored){.key = memcpy(malloc(key.size), key.at, key.size), .key_size = key.size};
    }
    e->value = memcpy(realloc(e->value, size + 1), value, size);
    e->size = size;
    e->flags = flags;
    e->cas = ++cas_last;
    return true;
}

/* ---- classic commands ---- */

static void get(Connection *c, const Word *w, unsigned words, bool with_cas) {
    for (unsigned i = 1; i < words; i++) {
        const Stored *e = find(c->server, w[i]);
        if (!e) continue;
        char *start = reserve(&c->out, REPLY_ROOM + e->size), *to = put(put(start, "VALUE ", 6), w[i].at, w[i].size);
        to += with_cas ? sprintf(to, " %lu %zu %lu\r\n", e->flags, e->size, e->cas) : sprintf(to, " %lu %zu\r\n", e->flags, e->size);
        to = put(put(to, e->value, e->size), "\r\n", 2);
        c->out.end += (size_t)(to - start);
    }
    say(c, "END\r\n");
}

static void set(Connection *c, const Word *w, unsigned words, const char *value) {
    Stored item;
    const Stored *e = find(c->server, w[1]);
    const char *answer = "STORED\r\n";
    if (is_item(w[1], &item)) e = NULL;
    else if ((is(w[0], "add") && e) || (is(w[0], "replace") && !e)) answer = "NOT_STORED\r\n";
    else if (is(w[0], "cas") && !e) answer = "NOT_FOUND\r\n";
    else if (is(w[0], "cas") && words > 5 && number(w[5]) != e->cas) answer = "EXISTS\r\n";
    else if (!store(c->server, w[1], number(w[2]), value, number(w[4]))) answer = "SERVER_ERROR out of memory storing object\r\n";
    if (!is(w[words - 1], "noreply")) say(c, answer);
}

static void stats(Connection *c, unsigned words) {
    static time_t born;
    char text[256];
    if (!born) born = time(NULL);
    snprintf(text, sizeof text, "STAT pid %d\r\nSTAT uptime %ld\r\nSTAT time %ld\r\nSTAT version 1.6.0-stub\r\nSTAT curr_items %u\r\nSTAT cmd_flush %u\r\n",
             getpid(), (long)(time(NULL) - born), (long)time(NULL), c->server->used, c->server->flushes);
    if (words == 1) say(c, text);
    say(c, "END\r\n");
}

static void one_key(Connection *c, const Word *w, unsigned words) {
    Stored *e = find(c->server, w[1]);
    const char *answer = !e ? "NOT_FOUND\r\n" : is(w[0], "delete") ? "DELETED\r\n" : "TOUCHED\r\n";
    if (e && is(w[0], "delete")) drop(c->server, e);
    if (!is(w[words - 1], "noreply")) say(c, answer);
}

/* ---- meta commands ---- */

static Word flag(const Word *w, unsigned from, unsigned words, char letter) {
    for (unsigned i = from; i < words; i++)
        if (w[i].at[0] == letter) return (Word){w[i].at + 1, w[i].size - 1};
    return (Word){NULL, 0};
}

/* The flags that come back, in the order of the request, then the line's end. */
static void meta(Connection *c, const char *code, const Word *w, unsigned from, unsigned words, const Stored *e) {
    char *start = reserve(&c->out, REPLY_ROOM + words * 32), *to = put(start, code, strlen(code));
    for (unsigned i = from; i < words; i++) {
        char letter = w[i].at[0];
        if (letter == 'O') to = put(put(to, " ", 1), w[i].at, w[i].size);
        if (letter == 'k') to = put(put(to, " k", 2), w[1].at, w[1].size);
        if (!e || !is(w[0], "mg")) continue;
        if (letter == 'f') to += sprintf(to, " f%lu", e->flags);
        if (letter == 's') to += sprintf(to, " s%zu", e->size);
        if (letter == 'c') to += sprintf(to, " c%lu", e->cas);
        if (letter == 't') to += sprintf(to, " t-1");
        if (letter == 'h' || letter == 'l') to += sprintf(to, " %c0", letter);
    }
    c->out.end += (size_t)(put(to, "\r\n", 2) - start);
}

static void meta_get(Connection *c, const Word *w, unsigned words) {
    const Stored *e = find(c->server, w[1]);
    if (!e) {
        if (!flag(w, 2, words, 'q').at) say(c, "EN\r\n");
        return;
    }
    if (!flag(w, 2, words, 'v').at) {
        meta(c, "HD", w, 2, words, e);
        return;
    }
    char code[32];
    sprintf(code, "VA %zu", e->size);
    meta(c, code, w, 2, words, e);
    put(put(reserve(&c->out, e->size + 2), e->value, e->size), "\r\n", 2);
    c->out.end += e->size + 2;
}

static void meta_set(Connection *c, const Word *w, unsigned words, const char *value) {
    const Stored *e = find(c->server, w[1]);
    Word cas = flag(w, 3, words, 'C'), mode = flag(w, 3, words, 'M'), flags = flag(w, 3, words, 'F');
    const char *code = "HD";
    if (cas.at && !e) code = "NF";
    else if (cas.at && number(cas) != e->cas) code = "EX";
    else if (mode.at && mode.size && (mode.at[0] | 32) == 'e' && e) code = "NS";
    else if (!store(c->server, w[1], flags.at ? number(flags) : 0, value, number(w[2]))) code = "NS";
    if (strcmp(code, "HD") || !flag(w, 3, words, 'q').at) meta(c, code, w, 3, words, NULL);
}

static void meta_delete(Connection *c, const Word *w, unsigned words) {
    Stored *e = find(c->server, w[1]);
    Word cas = flag(w, 2, words, 'C');
    const char *code = !e ? "NF" : cas.at && number(cas) != e->cas ? "EX" : "HD";
    if (!strcmp(code, "HD")) drop(c->server, e);
    if (strcmp(code, "HD") || !flag(w, 2, words, 'q').at) meta(c, code, w, 2, words, NULL);
}

/* ---- framing ---- */

static void line(Connection *c, const Word *w, unsigned words) {
    if (words > 1 && is(w[0], "get")) get(c, w, words, false);
    else if (words > 1 && is(w[0], "gets")) get(c, w, words, true);
    else if (words > 2 && (is(w[0], "gat") || is(w[0], "gats"))) get(c, w + 1, words - 1, w[0].size == 4);
    else if (words > 1 && (is(w[0], "delete") || is(w[0], "touch"))) one_key(c, w, words);
    else if (words > 1 && is(w[0], "mg")) meta_get(c, w, words);
    else if (words > 1 && is(w[0], "md")) meta_delete(c, w, words);
    else if (is(w[0], "mn")) say(c, "MN\r\n");
    else if (is(w[0], "version")) say(c, "VERSION 1.6.0-stub\r\n");
    else if (is(w[0], "stats")) stats(c, words);
    else if (is(w[0], "flush_all")) {
        c->server->flushes++;
        while (c->server->used) drop(c->server, c->server->table);
        if (!is(w[words - 1], "noreply")) say(c, "OK\r\n");
    } else say(c, "ERROR\r\n");
}

/* Do the first command; returns its size, 0 if more of it must come. */
static size_t command(Connection *c, const char *at, size_t size) {
    const char *end = memchr(at, '\n', size);
    if (!end) return 0;
    size_t used = (size_t)(end + 1 - at), value;
    Word w[WORDS_MAX];
    unsigned words = 0;
    for (const char *p = at; p < end && words < WORDS_MAX;) {
        const char *space = memchr(p, ' ', (size_t)(end - p)), *stop = space ? space : end[-1] == '\r' ? end - 1 : end;
        if (stop > p) w[words++] = (Word){p, (size_t)(stop - p)};
        p = space ? space + 1 : end;
    }
    if (!words) return used;
    bool classic = words > 4 && (is(w[0], "set") || is(w[0], "add") || is(w[0], "replace") || is(w[0], "cas"));
    if (!classic && !(words > 2 && is(w[0], "ms"))) {
        line(c, w, words);
        return used;
    }
    value = number(w[classic ? 4 : 2]) + 2;
    if (size < used + value) return 0;
    if (classic) set(c, w, words, at + used);
    else meta_set(c, w, words, at + used);
    return used + value;
}

/* ---- sockets ---- */

static void watch(Connection *c, int how, uint32_t events) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(poller, how, c->fd, &e)) die("epoll");
}

static void welcome(Server *s) {
    int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK), on = 1;
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Connection *c = calloc(1, sizeof *c);
    c->fd = fd;
    c->server = s;
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

/* Read, answer, write; false if the connection has ended. */
static bool serve(Connection *c) {
    Buffer *in = &c->in, *out = &c->out;
    char *to = reserve(in, in->room - in->end < 4096 ? 65536 : 4096);
    ssize_t got = recv(c->fd, to, in->room - in->end, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) return false;
    if (got > 0) in->end += (size_t)got;
    for (size_t used = 1; used && in->begin < in->end; in->begin += used)
        used = command(c, in->bytes + in->begin, in->end - in->begin);
    settle(in);
    while (out->begin < out->end) {
        ssize_t sent = send(c->fd, out->bytes + out->begin, out->end - out->begin, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) break;
        if (sent < 0) return false;
        out->begin += (size_t)sent;
    }
    bool left = out->begin < out->end;
    if (left != c->writing) watch(c, EPOLL_CTL_MOD, left ? EPOLLIN | EPOLLOUT : EPOLLIN);
    c->writing = left;
    return true;
}

static void listen_on(Server *s, int port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(s->fd, (void *)&at, sizeof at) || listen(s->fd, 1024)) die("listen");
    Connection *c = calloc(1, sizeof *c);
    c->fd = s->fd;
    c->own = s;
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > PORTS_MAX + 1) {
        fprintf(stderr, "stub PORT [PORT …]     (see the top of stub.c)\n");
        return 1;
    }
    items_make();
    poller = epoll_create1(0);
    for (int i = 1; i < argc; i++) listen_on(&servers[i - 1], atoi(argv[i]));
    for (struct epoll_event events[256];;) {
        int count = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < count; i++) {
            Connection *c = events[i].data.ptr;
            if (c->own) {
                welcome(c->own);
            } else if (!serve(c)) {
                close(c->fd);
                free(c->in.bytes);
                free(c->out.bytes);
                free(c);
            }
        }
    }
}
