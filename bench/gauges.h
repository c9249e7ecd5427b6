/* What the load generator measures with: a histogram of latencies, and the CPU time of processes. */
#ifndef GAUGES_H
#define GAUGES_H
#include "buffer.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    GROUPS_MAX = 8,
    PIDS_MAX = 64,
    SUB_BITS = 7, /* 128 steps for each power of two: 0.8 per cent */
};

/* ---- latencies: a histogram with logarithmic steps, each divided evenly ---- */

static struct {
    uint64_t count, max, steps[(64 - SUB_BITS + 1) << SUB_BITS];
} latency;

static unsigned step_of(uint64_t ns) {
    if (ns < 1u << SUB_BITS) return (unsigned)ns;
    int shift = 63 - __builtin_clzll(ns) - SUB_BITS;
    return ((unsigned)(shift + 1) << SUB_BITS) + (unsigned)((ns >> shift) & ((1u << SUB_BITS) - 1));
}

/* The middle of the step, µs. */
static double step_us(unsigned step) {
    if (step < 1u << SUB_BITS) return step / 1e3;
    int shift = (int)(step >> SUB_BITS) - 1;
    uint64_t low = ((1ull << SUB_BITS) + (step & ((1u << SUB_BITS) - 1))) << shift;
    return ((double)low + (double)(1ull << shift) / 2) / 1e3;
}

static void latency_add(uint64_t ns) {
    latency.count++;
    latency.steps[step_of(ns)]++;
    if (ns > latency.max) latency.max = ns;
}

static double percentile(double share) {
    uint64_t rank = (uint64_t)(share * (double)latency.count), sum = 0;
    for (unsigned i = 0; i < sizeof latency.steps / sizeof *latency.steps; i++)
        if ((sum += latency.steps[i]) > rank) return step_us(i);
    return 0;
}

/* ---- CPU time of processes, from the kernel ---- */

typedef struct {
    const char *name;
    int pids[PIDS_MAX], count;
    double before, after; /* seconds of CPU */
} Group;

static Group groups[GROUPS_MAX] = {{.name = "load"}};
static int group_count = 1;

/* One process with those that it started. */
static double cpu_of(int pid) {
    double sum = 0;
    char path[512];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *folder = opendir(path);
    if (!folder) return 0; /* it has ended */
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, entry->d_name);
        FILE *file = fopen(path, "r");
        unsigned long long ns = 0;
        if (file && fscanf(file, "%llu", &ns) == 1) sum += (double)ns / 1e9;
        if (file) fclose(file);
        snprintf(path, sizeof path, "/proc/%d/task/%s/children", pid, entry->d_name);
        file = fopen(path, "r");
        for (int child; file && fscanf(file, "%d", &child) == 1;) sum += cpu_of(child);
        if (file) fclose(file);
    }
    closedir(folder);
    return sum;
}

static double cpu_seconds(const Group *g) {
    double sum = 0;
    for (int i = 0; i < g->count; i++) sum += cpu_of(g->pids[i]);
    return sum;
}

static void add_group(char *text) {
    char *colon = strchr(text, ':');
    if (!colon || group_count == GROUPS_MAX) {
        fprintf(stderr, "load: -P NAME:PID,PID…, at most %d times\n", GROUPS_MAX - 1);
        exit(1);
    }
    *colon = 0;
    Group *g = &groups[group_count++];
    g->name = text;
    for (char *pid = strtok(colon + 1, ","); pid && g->count < PIDS_MAX; pid = strtok(NULL, ","))
        g->pids[g->count++] = atoi(pid);
}
#endif
