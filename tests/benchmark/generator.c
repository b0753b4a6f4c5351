/* Closed-loop HTTP/1.1 load: N connections, each sends its next request when its answer is whole.
 *
 * generator load    PORT CONNECTIONS WARM_UP_S SECONDS REQUESTS   one JSON line on stdout
 * generator respond PORT ANSWER                                   answers every request with the file ANSWER
 *
 * REQUESTS holds records: uint32 length, uint32 expected class, then the bytes of one whole HTTP request. An
 * answer counts when its status is 200 and the largest of the ten floats at its end is the expected class,
 * so that what is timed is also right. `respond` exists to measure what the generator itself can do.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define CLASSES 10
#define MOST_CONNECTIONS 1024
#define MOST_REQUESTS 4096
#define MOST_SAMPLES (1 << 23)
#define BUFFER 65536

struct request { const char *bytes; uint32_t length, class; };
struct connection { int fd; uint32_t request; size_t have; double sent_at; char buffer[BUFFER]; };

static struct request requests[MOST_REQUESTS];
static struct connection connections[MOST_CONNECTIONS];
static uint32_t samples[MOST_SAMPLES]; /* nanoseconds, capped at 4.2 s */
static uint32_t request_count, next_request;
static uint64_t answered, wrong, served; /* served: with those of the warm-up */

static void fail(const char *what) { perror(what); exit(1); }

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static char *whole_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    fseek(file, 0, SEEK_END);
    *size = ftell(file);
    rewind(file);
    char *bytes = malloc(*size);
    if (fread(bytes, 1, *size, file) != *size) fail(path);
    fclose(file);
    return bytes;
}

/* The length of the first message in the buffer, 0 while its end has not arrived, -1 if it has no length. */
static ssize_t message_length(char *buffer, size_t have) {
    char *end = memmem(buffer, have, "\r\n\r\n", 4);
    if (!end) return 0;
    for (char *line = buffer; line < end; line = (char *)memmem(line, end + 2 - line, "\r\n", 2) + 2) {
        if (strncasecmp(line, "content-length:", 15) == 0) {
            size_t length = end + 4 - buffer + strtoul(line + 15, NULL, 10);
            return length <= have ? (ssize_t)length : 0;
        }
    }
    return -1;
}

static void send_all(int fd, const char *bytes, size_t length) {
    while (length) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0) fail("send");
        bytes += sent;
        length -= sent;
    }
}

static void ask(struct connection *c) {
    c->request = next_request++ % request_count;
    c->have = 0;
    c->sent_at = now();
    send_all(c->fd, requests[c->request].bytes, requests[c->request].length);
}

static int is_right(struct connection *c, ssize_t length) {
    float scores[CLASSES];
    if (length < (ssize_t)sizeof scores || memcmp(c->buffer, "HTTP/1.1 200", 12) != 0) return 0;
    memcpy(scores, c->buffer + length - sizeof scores, sizeof scores);
    uint32_t best = 0;
    for (uint32_t i = 1; i < CLASSES; i++)
        if (scores[i] > scores[best]) best = i;
    return best == requests[c->request].class;
}

static int socket_to(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double quantile_ms(uint64_t count, double share) {
    return count ? samples[(uint64_t)(share * (count - 1))] / 1e6 : 0;
}

static void report(double seconds) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    uint64_t count = answered < MOST_SAMPLES ? answered : MOST_SAMPLES;
    qsort(samples, count, sizeof *samples, ascending);
    printf("{\"answered\": %lu, \"served\": %lu, \"wrong\": %lu, \"seconds\": %.6f, \"cpu_s\": %.3f, \"p50_ms\": %.4f, "
           "\"p90_ms\": %.4f, \"p99_ms\": %.4f, \"max_ms\": %.4f}\n",
           answered, served, wrong, seconds, cpu, quantile_ms(count, 0.5), quantile_ms(count, 0.9),
           quantile_ms(count, 0.99), quantile_ms(count, 1));
}

/* One answer, or a part of one, has arrived. */
static void receive(struct connection *c, int counting) {
    ssize_t got = recv(c->fd, c->buffer + c->have, BUFFER - c->have, 0);
    if (got <= 0) { fprintf(stderr, "the server closed a connection\n"); exit(1); }
    c->have += got;
    ssize_t length = message_length(c->buffer, c->have);
    if (length == 0 && c->have < BUFFER) return;
    if (length <= 0) { fprintf(stderr, "an answer without Content-Length, or too long\n"); exit(1); }
    double took = now() - c->sent_at;
    served++;
    if (!is_right(c, length)) {
        if (!wrong++) fprintf(stderr, "a wrong answer: %.*s\n", (int)(length < 400 ? length : 400), c->buffer);
    } else if (counting) {
        if (answered < MOST_SAMPLES) samples[answered] = took < 4.2 ? (uint32_t)(took * 1e9) : UINT32_MAX;
        answered++;
    }
    ask(c);
}

static void load(int port, int count, double warm_up, double seconds) {
    struct epoll_event events[MOST_CONNECTIONS];
    int poll = epoll_create1(0), counting = 0;
    for (int i = 0; i < count; i++) {
        connections[i].fd = socket_to(port);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        epoll_ctl(poll, EPOLL_CTL_ADD, connections[i].fd, &event);
        ask(&connections[i]);
    }
    double begin = now() + warm_up, t;
    while ((t = now()) < begin + seconds) {
        counting = t >= begin;
        int ready = epoll_wait(poll, events, MOST_CONNECTIONS, 1000);
        for (int i = 0; i < ready; i++) receive(events[i].data.ptr, counting);
    }
    report(now() - begin);
}

static void respond(int port, const char *path) {
    size_t size;
    char *answer = whole_file(path, &size);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, used = 0, poll = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 256) < 0) fail("bind");
    struct epoll_event event = {.events = EPOLLIN}, events[MOST_CONNECTIONS];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(poll, events, MOST_CONNECTIONS, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) {
                c = &connections[used++ % MOST_CONNECTIONS];
                c->fd = accept(listener, NULL, NULL);
                c->have = 0;
                setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                struct epoll_event more = {.events = EPOLLIN, .data.ptr = c};
                epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &more);
                continue;
            }
            ssize_t got = recv(c->fd, c->buffer + c->have, BUFFER - c->have, 0);
            if (got <= 0) { close(c->fd); continue; }
            c->have += got;
            if (message_length(c->buffer, c->have) > 0) { c->have = 0; send_all(c->fd, answer, size); }
        }
    }
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "respond") == 0) respond(atoi(argv[2]), argv[3]);
    if (argc != 7 || strcmp(argv[1], "load") != 0 || atoi(argv[3]) > MOST_CONNECTIONS) {
        fprintf(stderr, "generator load PORT CONNECTIONS WARM_UP_S SECONDS REQUESTS | respond PORT ANSWER\n");
        return 2;
    }
    size_t size;
    char *file = whole_file(argv[6], &size);
    for (char *at = file; at < file + size && request_count < MOST_REQUESTS; request_count++) {
        struct request *r = &requests[request_count];
        memcpy(&r->length, at, 4);
        memcpy(&r->class, at + 4, 4);
        r->bytes = at + 8;
        at += 8 + r->length;
    }
    load(atoi(argv[2]), atoi(argv[3]), atof(argv[4]), atof(argv[5]));
    return wrong != 0;
}
