/* A load generator for chat completions over kept-alive connections, from one thread.
 *
 *     load HOST:PORT PATH BODY_FILE CONNECTIONS SECONDS USERS [HEADER ...]
 *
 * "%USER%" in the body becomes user-0 … user-(USERS-1) at random, always six digits wide. Prints one JSON object: requests, failed
 * (another status than 200, or a broken connection), seconds, and microseconds to the first byte of the body and to its
 * end, at the 50th, 90th and 99th percentile. 127.0.0.1 only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { HEAD = 16384, MAX_SAMPLES = 8000000 };

struct connection {
    int fd, in_body, chunked, status, seen_first;
    long left;              /* of the body, or of the chunk */
    int chunk_state;        /* 0 size line, 1 data, 2 the line end after data, 3 trailers */
    char line[64];
    int line_length;
    char head[HEAD];
    int have;
    uint64_t began;
    uint32_t first;         /* microseconds until the body began */
};

static struct sockaddr_in address;
static char *request;
static size_t request_size;
static char *user_at[8];
static int users_in_body, poller, stopping;
static unsigned users;
static uint32_t *to_first, *to_end;
static size_t done, failed;

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void ask(struct connection *c) {
    char number[16];
    sprintf(number, "%06u", (unsigned)rand() % users);
    for (int i = 0; i < users_in_body; i++) memcpy(user_at[i], number, 6);
    c->in_body = c->chunked = c->status = c->seen_first = c->have = c->line_length = c->chunk_state = 0;
    c->left = 0;
    c->began = now_us();
    if (write(c->fd, request, request_size) != (ssize_t)request_size) failed++;
}

static void join(struct connection *c) {
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (void *)&address, sizeof address)) { perror("load: connect"); exit(1); }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
    ask(c);
}

static void finished(struct connection *c) {
    if (c->status != 200) failed++;
    else if (done < MAX_SAMPLES) {
        to_first[done] = c->first;
        to_end[done++] = now_us() - c->began;
    }
    if (stopping) { close(c->fd); c->fd = -1; } else ask(c);
}

/* The body's bytes; 1 when it is whole. */
static int body(struct connection *c, const char *data, long size) {
    if (size && !c->seen_first++) c->first = now_us() - c->began;
    if (!c->chunked) return (c->left -= size) <= 0;
    for (long i = 0; i < size;) {
        if (c->chunk_state == 1) {
            long some = size - i < c->left ? size - i : c->left;
            i += some;
            if (!(c->left -= some)) c->chunk_state = 2;
            continue;
        }
        char byte = data[i++];
        if (byte != '\n') {
            if (byte != '\r' && c->line_length < 63) c->line[c->line_length++] = byte;
            continue;
        }
        c->line[c->line_length] = 0;
        int empty = !c->line_length;
        c->line_length = 0;
        if (c->chunk_state == 2) c->chunk_state = 0;
        else if (c->chunk_state == 3) { if (empty) return 1; }
        else { c->left = strtol(c->line, NULL, 16); c->chunk_state = c->left ? 1 : 3; }
    }
    return 0;
}

static void hear(struct connection *c) {
    static char data[1 << 18];
    ssize_t got = read(c->fd, data, sizeof data);
    if (got <= 0) {
        failed++;
        close(c->fd);
        if (!stopping) join(c); else c->fd = -1;
        return;
    }
    char *rest = data;
    long size = got;
    if (!c->in_body) {
        if (c->have + got >= HEAD) { fprintf(stderr, "load: a head too long\n"); exit(1); }
        memcpy(c->head + c->have, data, got);
        c->have += got;
        c->head[c->have] = 0;
        char *end = strstr(c->head, "\r\n\r\n");
        if (!end) return;
        c->in_body = 1;
        c->status = atoi(c->head + 9);
        rest = end + 4;
        size = c->head + c->have - rest;
        *end = 0;
        char *length = strcasestr(c->head, "\r\ncontent-length:");
        c->chunked = strcasestr(c->head, "\r\ntransfer-encoding: chunked") != NULL;
        c->left = length ? atol(length + 17) : 0;
    }
    if (body(c, rest, size)) finished(c);
}

static int smaller(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void percentiles(const char *name, uint32_t *samples) {
    qsort(samples, done, sizeof *samples, smaller);
    printf(",\"%s\":{\"p50\":%u,\"p90\":%u,\"p99\":%u}", name, done ? samples[done / 2] : 0,
           done ? samples[done * 9 / 10] : 0, done ? samples[done * 99 / 100] : 0);
}

static void compose(char **arguments, int count, const char *host) {
    char *text = NULL, *head;
    size_t size = 0, some;
    FILE *file = fopen(arguments[3], "r");
    if (!file) { perror("load: the body"); exit(1); }
    if ((some = getdelim(&text, &size, 0, file)) == (size_t)-1) some = 0;
    fclose(file);
    char *filled = calloc(1, some * 2 + 64), *to = filled;
    for (char *from = text; *from;) {
        if (!strncmp(from, "%USER%", 6)) { to += sprintf(to, "user-000000"); from += 6; } else *to++ = *from++;
    }
    head = malloc(65536);
    int length = sprintf(head, "POST %s HTTP/1.1\r\nhost: %s\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n",
                         arguments[2], host, strlen(filled));
    for (int i = 7; i < count; i++) length += sprintf(head + length, "%s\r\n", arguments[i]);
    length += sprintf(head + length, "\r\n");
    request_size = length + strlen(filled);
    request = malloc(request_size + 1);
    memcpy(request, head, length);
    memcpy(request + length, filled, strlen(filled) + 1);
    for (char *at = request; (at = strstr(at, "user-000000")) && users_in_body < 8; at += 11)
        user_at[users_in_body++] = at + 5;
}

int main(int count, char **arguments) {
    if (count < 7) {
        fprintf(stderr, "usage: load 127.0.0.1:PORT PATH BODY_FILE CONNECTIONS SECONDS USERS [HEADER ...]\n");
        return 2;
    }
    if (strncmp(arguments[1], "127.0.0.1:", 10)) { fprintf(stderr, "load: 127.0.0.1 only\n"); return 2; }
    int connections = atoi(arguments[4]);
    double seconds = atof(arguments[5]);
    users = atoi(arguments[6]);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    address.sin_family = AF_INET;
    address.sin_port = htons(atoi(arguments[1] + 10));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    compose(arguments, count, arguments[1]);
    to_first = calloc(MAX_SAMPLES, sizeof *to_first);
    to_end = calloc(MAX_SAMPLES, sizeof *to_end);
    poller = epoll_create1(0);
    struct connection *all = calloc(connections, sizeof *all);
    uint64_t began = now_us(), until = began + (uint64_t)(seconds * 1e6), give_up = until + 20000000;
    srand(1);
    /* Clients of their own begin when they like, not all in the same instant. */
    const char *told = getenv("LOAD_SPREAD_MS");
    uint64_t spread = told ? strtoull(told, NULL, 10) * 1000 : 0;
    int joined = 0;
    for (int i = 0; i < connections; i++) all[i].fd = -1;
    struct epoll_event ready[512];
    uint64_t ended = until;
    size_t in_time = 0;
    while (now_us() < give_up) {
        if (!stopping && now_us() >= until) { stopping = 1; in_time = done; }
        while (!stopping && joined < connections && now_us() >= began + spread * joined / connections)
            join(&all[joined++]);
        int some = epoll_wait(poller, ready, 512, joined < connections ? 1 : 50);
        for (int i = 0; i < some; i++) hear(ready[i].data.ptr);
        int open = 0;
        if (stopping) {
            for (int i = 0; i < connections; i++) open += all[i].fd >= 0;
            if (!open) break;
        }
    }
    printf("{\"requests\":%zu,\"all\":%zu,\"failed\":%zu,\"seconds\":%.3f", in_time, done, failed, (ended - began) / 1e6);
    percentiles("first", to_first);
    percentiles("end", to_end);
    printf("}\n");
    return 0;
}
