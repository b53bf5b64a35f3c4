/* A fast fake provider: OpenAI chat completions, plain and streamed, from one thread.
 *
 *     upstream PORT [CHUNKS=20] [MILLISECONDS=0]
 *
 * Every answer says 12 prompt tokens and CHUNKS completion tokens. A request with "stream":true gets CHUNKS deltas, that
 * many milliseconds apart (0: all in one write), then the usage chunk (where "include_usage":true was asked) and [DONE].
 * GET /stats answers what was completed, so that a ledger can be compared with it. It prints nothing and ends on SIGTERM.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FD = 65536, BUFFER = 65536, PROMPT_TOKENS = 12 };

struct client {
    char *in;
    size_t have;
    int streaming, with_usage, sent; /* sent: deltas of the running stream */
    uint64_t due;                    /* when its next delta goes, in milliseconds */
    int next, previous;              /* the queue of running streams, in the order of `due` */
};

static struct client *clients[MAX_FD];
static int first = -1, last = -1;
static int chunks = 20, pause_ms = 0, poller;
static unsigned long long plain_done, streams_done, streams_left, open_streams;

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void enqueue(int fd) {
    clients[fd]->next = -1;
    clients[fd]->previous = last;
    if (last >= 0) clients[last]->next = fd; else first = fd;
    last = fd;
}

static void dequeue(int fd) {
    struct client *c = clients[fd];
    if (c->previous >= 0) clients[c->previous]->next = c->next; else first = c->next;
    if (c->next >= 0) clients[c->next]->previous = c->previous; else last = c->previous;
}

static void drop(int fd) {
    struct client *c = clients[fd];
    if (c->streaming) {
        dequeue(fd);
        streams_left++;
        open_streams--;
    }
    free(c->in);
    free(c);
    clients[fd] = NULL;
    close(fd);
}

/* Small answers to a client that reads: a short write is a client that doesn't, and is dropped. */
static int put(int fd, const char *data, size_t size) { return write(fd, data, size) == (ssize_t)size; }

static int chunk(char *out, const char *event) {
    return sprintf(out, "%zx\r\n%s\r\n", strlen(event), event);
}

static const char *DELTA =
    "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\","
    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}],\"usage\":null}\n\n";
static const char *STOP =
    "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\","
    "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n";

static int ending(char *out, int with_usage) {
    char usage[512];
    int size = chunk(out, STOP);
    if (with_usage) {
        sprintf(usage,
                "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
                "\"model\":\"bench\",\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d,"
                "\"total_tokens\":%d}}\n\n",
                PROMPT_TOKENS, chunks, PROMPT_TOKENS + chunks);
        size += chunk(out + size, usage);
    }
    size += chunk(out + size, "data: [DONE]\n\n");
    return size + sprintf(out + size, "0\r\n\r\n");
}

static const char *STREAM_HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

static int stream_at_once(int fd, int with_usage) {
    static char out[1 << 20];
    int size = sprintf(out, "%s", STREAM_HEAD);
    for (int i = 0; i < chunks; i++) size += chunk(out + size, DELTA);
    size += ending(out + size, with_usage);
    streams_done++;
    return put(fd, out, size);
}

static int start_stream(int fd, int with_usage) {
    if (!pause_ms) return stream_at_once(fd, with_usage);
    struct client *c = clients[fd];
    c->streaming = 1;
    c->with_usage = with_usage;
    c->sent = 0;
    c->due = now_ms() + pause_ms;
    enqueue(fd);
    open_streams++;
    return put(fd, STREAM_HEAD, strlen(STREAM_HEAD));
}

/* All streams pause alike, so the queue stays in the order of `due`. */
static void run_streams(void) {
    char out[4096];
    uint64_t now = now_ms();
    while (first >= 0 && clients[first]->due <= now) {
        int fd = first, size;
        struct client *c = clients[fd];
        dequeue(fd);
        if (c->sent++ < chunks) {
            size = chunk(out, DELTA);
            c->due += pause_ms;
            enqueue(fd);
        } else {
            size = ending(out, c->with_usage);
            c->streaming = 0;
            streams_done++;
            open_streams--;
        }
        if (!put(fd, out, size)) drop(fd);
    }
}

static int answer_plain(int fd) {
    char body[1024], out[2048];
    int size = sprintf(body,
        "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"bench\",\"choices\":"
        "[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello from the bench.\"},\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d,\"total_tokens\":%d}}",
        PROMPT_TOKENS, chunks, PROMPT_TOKENS + chunks);
    plain_done++;
    size = sprintf(out, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", size, body);
    return put(fd, out, size);
}

static int answer_stats(int fd) {
    char body[512], out[1024];
    int size = sprintf(body,
        "{\"plain\":%llu,\"streams\":%llu,\"left\":%llu,\"open\":%llu,\"prompt_tokens\":%d,\"completion_tokens\":%d}",
        plain_done, streams_done, streams_left, open_streams, PROMPT_TOKENS, chunks);
    size = sprintf(out, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", size, body);
    return put(fd, out, size);
}

/* Answer the requests that are whole; 0 when the connection is done for. */
static int serve(int fd) {
    struct client *c = clients[fd];
    while (c->have && !c->streaming) {
        c->in[c->have] = 0;
        char *end = strstr(c->in, "\r\n\r\n");
        if (!end) return c->have < BUFFER - 1;
        size_t head = end + 4 - c->in, body = 0;
        *end = 0;
        char *length = strcasestr(c->in, "\r\ncontent-length:");
        if (length) body = strtoul(length + 17, NULL, 10);
        *end = '\r';
        if (head + body >= BUFFER) return 0;
        if (c->have < head + body) return 1;
        char kept = c->in[head + body];
        c->in[head + body] = 0;
        char *json = c->in + head;
        int ok;
        if (!strncmp(c->in, "GET /stats", 10)) ok = answer_stats(fd);
        else if (strstr(json, "\"stream\":true") || strstr(json, "\"stream\": true"))
            ok = start_stream(fd, strstr(json, "\"include_usage\":true") || strstr(json, "\"include_usage\": true"));
        else ok = answer_plain(fd);
        if (!ok) return 0;
        c->in[head + body] = kept;
        memmove(c->in, c->in + head + body, c->have - head - body);
        c->have -= head + body;
    }
    return 1;
}

static void take(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MAX_FD) { close(fd); continue; }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        clients[fd] = calloc(1, sizeof **clients);
        clients[fd]->in = malloc(BUFFER);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

static void hear(int fd) {
    struct client *c = clients[fd];
    ssize_t got = read(fd, c->in + c->have, BUFFER - 1 - c->have);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) { drop(fd); return; }
    c->have += got;
    if (!serve(fd)) drop(fd);
}

int main(int count, char **arguments) {
    if (count < 2) { fprintf(stderr, "usage: upstream PORT [CHUNKS] [MILLISECONDS]\n"); return 2; }
    if (count > 2) chunks = atoi(arguments[2]);
    if (count > 3) pause_ms = atoi(arguments[3]);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 4096)) { perror("upstream"); return 1; }
    poller = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[512];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int some = epoll_wait(poller, ready, 512, first >= 0 ? 1 : -1);
        for (int i = 0; i < some; i++) {
            if (ready[i].data.fd == listener) take(listener);
            else if (clients[ready[i].data.fd]) hear(ready[i].data.fd);
        }
        if (first >= 0) run_streams();
    }
}
