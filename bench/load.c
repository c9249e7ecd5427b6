/* A load generator for memcached's text protocol: one thread, epoll, a closed loop.
 *
 *   cc -O2 -Wall -Wextra -o load load.c
 *   load -p PORT [-c 50] [-d 1] [-g 90] [-v 100] [-k 1] [-n 10000] [-w 0.5] [-s 2] [-f] [-P NAME:PID,PID …] [-r SEED]
 *
 *   -p PORT   where to connect on 127.0.0.1
 *   -c COUNT  connections
 *   -d DEPTH  pipeline: requests under way on each connection (a reply is followed by the next request)
 *   -g SHARE  per cent of requests that are gets; the others are sets
 *   -v BYTES  of one value
 *   -k KEYS   in each get, all different (at most 128)
 *   -n ITEMS  that exist (at most 65521)
 *   -w, -s    seconds of warming up, seconds measured
 *   -f        store every item first; with -s 0 that is all
 *   -P        processes whose CPU time is counted, their children included, under a name; may be given several times
 *   -r SEED   of the choice of keys
 *
 * Every byte of every reply is checked. Prints one line of JSON:
 *   throughput (replies/s), requests, gets, sets, keys, misses; seconds measured; p50_us p99_us p999_us max_us: time from
 *   writing a request to having its whole reply; cpu_us: for each -P, CPU microseconds a request, from the kernel's
 *   accounting (/proc/PID/task/TID/schedstat), "load" being this process; load_share: of one core, used by this process;
 *   wrong: replies that do not answer the request (key, length, bytes, order); refused: ERROR, SERVER_ERROR, NOT_STORED …
 *   in time; closed: connections that the other side ended; stalled: 1 if nothing came for two seconds.
 * Exit code: 0 all well, 1 wrong usage or no connection, 3 a reply was wrong or refused, a connection closed or stalled.
 */
#define _GNU_SOURCE
#include "buffer.h"
#include "gauges.h"
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
    KEYS_MAX = 128,
    DEPTH_MAX = 1024,
    FILL_BATCH = 32,
    LINE_MAX_BYTES = 2048, /* longer without a line end is no reply */
    STALL_MS = 2000,
};

typedef struct {
    uint64_t began; /* ns */
    uint32_t first; /* number of its first key */
    bool get;
} Request;

typedef struct {
    int fd;
    bool writing;
    Buffer in, out;
    Request *queue; /* a ring; head is the oldest */
    uint32_t head, tail;
    uint32_t found; /* values of the oldest request's reply so far */
    uint64_t seen[KEYS_MAX / 64];
} Connection;

static struct {
    unsigned port, connections, depth, gets, size, keys, items;
    double warm, seconds;
    bool fill;
} o = {0, 50, 1, 90, 100, 1, 10000, 0.5, 2, false};

static struct {
    uint64_t gets, sets, keys, misses, wrong, refused, closed, stalled;
} n;

static bool measuring;
static unsigned living; /* connections that are open */
static int poller;
static uint64_t dice;
static uint32_t stride, inverse; /* key j of a get is (first + j * stride) mod items */

/* What is the same in every request and reply: text around the eight digits. */
static char key_prefix[64], value_prefix[80], value_suffix[64], set_suffix[64];
static size_t key_prefix_size, value_prefix_size, value_suffix_size, set_suffix_size;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t roll(void) {
    uint64_t z = (dice += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint32_t below(uint32_t limit) { return (uint32_t)((roll() >> 32) * limit >> 32); }

/* ---- requests ---- */

static char *put_key(char *to, uint32_t number) {
    to = put(to, key_prefix, key_prefix_size);
    item_digits(to, number);
    return to + ITEM_DIGITS;
}

static void put_set(Buffer *b, uint32_t number) {
    char *at = reserve(b, key_prefix_size + set_suffix_size + o.size + 32);
    at = put_key(put(at, "set ", 4), number);
    at = put(put(at, set_suffix, set_suffix_size), item_value(number), o.size);
    b->end = (size_t)(put(at, "\r\n", 2) - b->bytes);
}

static void ask(Connection *c, uint64_t at) {
    Request *r = &c->queue[c->tail++ % o.depth];
    *r = (Request){.began = at, .first = below(o.items), .get = below(100) < o.gets};
    if (!r->get) {
        put_set(&c->out, r->first);
        return;
    }
    char *to = put(reserve(&c->out, 8 + o.keys * (key_prefix_size + ITEM_DIGITS + 1)), "get", 3);
    for (uint32_t j = 0, number = r->first; j < o.keys; j++, number = (number + stride) % o.items) {
        *to++ = ' ';
        to = put_key(to, number);
    }
    c->out.end = (size_t)(put(to, "\r\n", 2) - c->out.bytes);
}

static void watch(Connection *c, int how, uint32_t events) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(poller, how, c->fd, &e)) die("epoll");
}

static void hang_up(Connection *c, const char *why) {
    if (n.wrong + n.closed < 4) fprintf(stderr, "load: %s\n", why);
    close(c->fd);
    c->fd = -1;
    living--;
}

static void flush(Connection *c) {
    Buffer *b = &c->out;
    while (b->begin < b->end) {
        ssize_t sent = send(c->fd, b->bytes + b->begin, b->end - b->begin, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) break;
        if (sent < 0) {
            n.closed++;
            hang_up(c, "closed while writing");
            return;
        }
        b->begin += (size_t)sent;
    }
    bool left = b->begin < b->end;
    if (left != c->writing) watch(c, EPOLL_CTL_MOD, left ? EPOLLIN | EPOLLOUT : EPOLLIN);
    c->writing = left;
}

/* ---- replies: each `take_…` returns the bytes used, 0 if more must come, -1 if this is no reply to the request ---- */

static void note(uint64_t *count, const char *what, const char *at, size_t size) {
    if ((*count)++ < 3) fprintf(stderr, "load: %s: %.*s\n", what, (int)(size < 160 ? size : 160), at);
}

static ssize_t take_line(const char *at, size_t size) {
    const char *end = memchr(at, '\n', size);
    if (end) return end + 1 - at;
    return size < LINE_MAX_BYTES ? 0 : -1;
}

/* A line that is not the one hoped for, but an answer. */
static bool is_refusal(const char *line, size_t size) {
    static const char *const words[] = {"ERROR", "SERVER_ERROR", "CLIENT_ERROR", "NOT_STORED"};
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        if (size >= strlen(words[i]) && !memcmp(line, words[i], strlen(words[i]))) return true;
    return false;
}

/* One VALUE of the oldest request's reply. */
static ssize_t take_value(Connection *c, const Request *r, const char *at, size_t size) {
    size_t head = value_prefix_size + ITEM_DIGITS + value_suffix_size, whole = head + o.size + 2;
    if (size < head) return memchr(at, '\n', size) ? -1 : 0;
    const char *digits = at + value_prefix_size;
    uint32_t number = item_number(digits);
    if (memcmp(at, value_prefix, value_prefix_size) || number >= o.items) return -1;
    if (memcmp(digits + ITEM_DIGITS, value_suffix, value_suffix_size)) return -1;
    if (size < whole) return 0;
    uint32_t j = (uint32_t)((uint64_t)(number + o.items - r->first) * inverse % o.items);
    bool asked = j < o.keys && !(c->seen[j / 64] >> j % 64 & 1);
    if (!asked || memcmp(at + head, item_value(number), o.size) || memcmp(at + head + o.size, "\r\n", 2))
        note(&n.wrong, asked ? "wrong bytes" : "wrong key", at, size);
    if (j < o.keys) c->seen[j / 64] |= 1ull << j % 64;
    c->found++;
    return (ssize_t)whole;
}

static void count(const Connection *c, const Request *r, uint64_t at) {
    if (!measuring) return;
    latency_add(at - r->began);
    if (r->get) {
        n.gets++;
        n.keys += c->found;
        n.misses += o.keys - c->found;
    } else {
        n.sets++;
    }
}

/* The next piece of the oldest request's reply: a value, or the line that ends it. */
static ssize_t take_piece(Connection *c, const char *at, size_t size, uint64_t time) {
    const Request *r = &c->queue[c->head % o.depth];
    if (r->get && *at == 'V') return take_value(c, r, at, size);
    ssize_t line = take_line(at, size);
    if (line <= 0) return line;
    const char *wanted = r->get ? "END\r\n" : "STORED\r\n";
    if ((size_t)line == strlen(wanted) && !memcmp(at, wanted, (size_t)line)) count(c, r, time);
    else if (is_refusal(at, (size_t)line)) note(&n.refused, "refused", at, (size_t)line);
    else return -1;
    c->found = 0;
    memset(c->seen, 0, sizeof c->seen);
    c->head++;
    return line;
}

/* Read once, take every whole reply, ask again as often. */
static void converse(Connection *c) {
    Buffer *b = &c->in;
    char *to = reserve(b, b->room - b->end < 4096 ? 16384 : 4096);
    ssize_t got = recv(c->fd, to, b->room - b->end, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        n.closed++;
        hang_up(c, "closed by the other side");
        return;
    }
    b->end += (size_t)got;
    uint64_t at = now();
    uint32_t before = c->head;
    while (b->begin < b->end && c->head != c->tail) {
        ssize_t used = take_piece(c, b->bytes + b->begin, b->end - b->begin, at);
        if (!used) break;
        if (used < 0) {
            note(&n.wrong, "not a reply to the request", b->bytes + b->begin, b->end - b->begin);
            hang_up(c, "given up");
            return;
        }
        b->begin += (size_t)used;
    }
    if (c->head == c->tail && b->begin < b->end) {
        note(&n.wrong, "more than was asked for", b->bytes + b->begin, b->end - b->begin);
        hang_up(c, "given up");
        return;
    }
    settle(b);
    for (uint32_t i = before; i != c->head; i++) ask(c, at);
}

/* ---- the run ---- */

static int dial(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || connect(fd, (void *)&to, sizeof to)) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void fill(void) {
    int fd = dial();
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 5}, sizeof(struct timeval));
    for (uint32_t i = 0; i < o.items;) {
        Buffer b = {0};
        size_t sets = 0, have = 0;
        for (; sets < FILL_BATCH && i < o.items; sets++) put_set(&b, i++);
        while (b.begin < b.end) {
            ssize_t sent = send(fd, b.bytes + b.begin, b.end - b.begin, MSG_NOSIGNAL);
            if (sent < 0) die("fill: send");
            b.begin += (size_t)sent;
        }
        char reply[8 * FILL_BATCH];
        while (have < 8 * sets) {
            ssize_t got = recv(fd, reply + have, 8 * sets - have, 0);
            if (got <= 0) die("fill: recv");
            have += (size_t)got;
            if (memcmp(reply, "STORED\r\nSTORED\r\n", have < 16 ? have : 16)) {
                fprintf(stderr, "load: fill: %.*s\n", (int)have, reply);
                exit(1);
            }
        }
        free(b.bytes);
    }
    close(fd);
}

static void usage(void) {
    fprintf(stderr, "load -p PORT [-c -d -g -v -k -n -w -s NUMBER] [-f] [-P NAME:PID,PID]… [-r SEED]     (see the top of load.c)\n");
    exit(1);
}

static void options(int argc, char **argv) {
    for (int flag; (flag = getopt(argc, argv, "p:c:d:g:v:k:n:w:s:fP:r:")) != -1;) switch (flag) {
            case 'p': o.port = (unsigned)atoi(optarg); break;
            case 'c': o.connections = (unsigned)atoi(optarg); break;
            case 'd': o.depth = (unsigned)atoi(optarg); break;
            case 'g': o.gets = (unsigned)atoi(optarg); break;
            case 'v': o.size = (unsigned)atoi(optarg); break;
            case 'k': o.keys = (unsigned)atoi(optarg); break;
            case 'n': o.items = (unsigned)atoi(optarg); break;
            case 'w': o.warm = atof(optarg); break;
            case 's': o.seconds = atof(optarg); break;
            case 'f': o.fill = true; break;
            case 'P': add_group(optarg); break;
            case 'r': dice = strtoull(optarg, NULL, 10); break;
            default: usage();
        }
    if (!o.port || o.port > 65535 || !o.connections || !o.depth || o.depth > DEPTH_MAX || !o.keys || o.keys > KEYS_MAX) usage();
    if (o.items < 2 || o.items < o.keys || o.items > ITEM_COUNT_MAX || o.size > ITEM_SIZE_MAX || o.gets > 100) usage();
}

/* The fixed text, and a stride without common factor with the count of items, with its inverse. */
static void prepare(void) {
    groups[0].pids[groups[0].count++] = getpid();
    items_make();
    key_prefix_size = (size_t)sprintf(key_prefix, ITEM_PREFIX, o.size);
    value_prefix_size = (size_t)sprintf(value_prefix, "VALUE %s", key_prefix);
    value_suffix_size = (size_t)sprintf(value_suffix, " 0 %u\r\n", o.size);
    set_suffix_size = (size_t)sprintf(set_suffix, " 0 0 %u\r\n", o.size);
    for (stride = (uint32_t)(o.items * 0.618); !inverse;) {
        stride = stride % o.items + 1;
        for (uint64_t i = 1; i < o.items && !inverse; i++)
            if (i * stride % o.items == 1) inverse = (uint32_t)i;
    }
}

static void report(double seconds) {
    double requests = (double)(n.gets + n.sets), used = groups[0].after - groups[0].before;
    printf("{\"throughput\": %.0f, \"requests\": %.0f, \"gets\": %lu, \"sets\": %lu, \"keys\": %lu, \"misses\": %lu, ",
           requests / seconds, requests, n.gets, n.sets, n.keys, n.misses);
    printf("\"seconds\": %.4f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, \"cpu_us\": {",
           seconds, percentile(.5), percentile(.99), percentile(.999), (double)latency.max / 1e3);
    for (Group *g = groups; g < groups + group_count; g++)
        printf("%s\"%s\": %.3f", g > groups ? ", " : "", g->name, requests ? (g->after - g->before) * 1e6 / requests : 0);
    printf("}, \"load_share\": %.3f, \"wrong\": %lu, \"refused\": %lu, \"closed\": %lu, \"stalled\": %lu}\n",
           used / seconds, n.wrong, n.refused, n.closed, n.stalled);
}

static double run(void) {
    uint64_t start = now(), from = start + (uint64_t)(o.warm * 1e9), until = from + (uint64_t)(o.seconds * 1e9);
    struct epoll_event events[256];
    while (living) {
        int count = epoll_wait(poller, events, 256, STALL_MS);
        uint64_t at = now();
        if (!measuring && at >= from) {
            for (Group *g = groups; g < groups + group_count; g++) g->before = cpu_seconds(g);
            from = now();
            until = from + (uint64_t)(o.seconds * 1e9);
            measuring = true;
        } else if (at >= until) {
            break;
        }
        if (!count) {
            n.stalled = 1;
            break;
        }
        for (int i = 0; i < count; i++) {
            Connection *c = events[i].data.ptr;
            if (events[i].events & ~(uint32_t)EPOLLOUT) converse(c);
            if (c->fd >= 0) flush(c);
        }
    }
    uint64_t end = now();
    for (Group *g = groups; g < groups + group_count; g++) g->after = cpu_seconds(g);
    return (double)(end - from) / 1e9;
}

int main(int argc, char **argv) {
    options(argc, argv);
    prepare();
    if (o.fill) fill();
    if (o.seconds <= 0) return 0;
    poller = epoll_create1(0);
    Connection *all = calloc(o.connections, sizeof *all);
    for (Connection *c = all; c < all + o.connections; c++) {
        c->fd = dial();
        living++;
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        c->queue = calloc(o.depth, sizeof *c->queue);
        watch(c, EPOLL_CTL_ADD, EPOLLIN);
    }
    for (Connection *c = all; c < all + o.connections; c++) {
        uint64_t at = now();
        for (unsigned i = 0; i < o.depth; i++) ask(c, at);
        flush(c);
    }
    report(run());
    return n.wrong || n.refused || n.closed || n.stalled ? 3 : 0;
}
