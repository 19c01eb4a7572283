/*
 * The least that C needs: fork, a blocking ping-pong or one-way stream, both ends pinned.
 *
 *   pingpong MECHANISM WORKLOAD SIZE CLIENT_CPU SERVER_CPU [LINES]
 *
 * reads a number of messages a line from stdin, runs a batch of so many, and prints its seconds:
 * so a benchmark can alternate it with what it is compared to. MECHANISM is pipe, unix, inet or
 * shm-spin; WORKLOAD is latency or throughput. The server is told the size of a batch through a
 * pipe of its own, before the clock starts, and answers there when it has the last message.
 *
 * With LINES each end has a footprint: before each call it reads so many cache lines of its own, as
 * an interpreter does with its code and objects. Not with shm-spin.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLOT_COUNT_BYTES (256 * 1024)
#define LINE 64
#define SCATTER 7919 /* a prime: all lines are read, unless their number is a multiple of it */

struct ring {
    _Alignas(LINE) _Atomic uint32_t written[2];
    _Alignas(LINE) _Atomic uint32_t answered;
    _Alignas(LINE) _Atomic uint32_t taken;
    _Alignas(LINE) char slots[];
};

static char *buffer;
static size_t size, stride;
static int reader, writer;
static bool is_socket, is_latency;
static struct ring *ring;
static uint32_t slots, sent, received;
static const char *footprint;
static size_t lines, step;
static volatile char last_read;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set))
        die("sched_setaffinity");
}

/* Not one line after the other, and no read waits for the one before. */
static inline void read_footprint(void)
{
    if (!lines)
        return;
    char sum = 0;
    for (size_t left = lines, at = 0; left; left--) {
        sum += footprint[at * LINE];
        at += step;
        if (at >= lines)
            at -= lines;
    }
    last_read = sum;
}

static void send_message(void)
{
    read_footprint();
    for (size_t moved = 0; moved != size;) {
        ssize_t more = write(writer, buffer + moved, size - moved);
        if (more <= 0)
            die("write");
        moved += (size_t)more;
    }
}

static void receive_message(void)
{
    read_footprint();
    for (size_t moved = 0; moved != size;) {
        ssize_t more = is_socket ? recv(reader, buffer + moved, size - moved, MSG_WAITALL)
                                 : read(reader, buffer + moved, size - moved);
        if (more <= 0)
            die("read");
        moved += (size_t)more;
    }
}

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* One slot each way (latency): the client writes slot 0, the server slot 1. */
static void put(uint32_t way)
{
    if (!is_latency)
        while (sent - atomic_load_explicit(&ring->taken, memory_order_acquire) >= slots)
            relax();
    memcpy(ring->slots + (is_latency ? way : sent % slots) * stride, buffer, size);
    sent++;
    _Atomic uint32_t *word = way ? &ring->answered : &ring->written[0];
    atomic_store_explicit(word, sent, memory_order_release);
}

static void take(uint32_t way)
{
    _Atomic uint32_t *word = way ? &ring->answered : &ring->written[0];
    while (atomic_load_explicit(word, memory_order_acquire) == received)
        relax();
    memcpy(buffer, ring->slots + (is_latency ? way : received % slots) * stride, size);
    received++;
    if (!is_latency)
        atomic_store_explicit(&ring->taken, received, memory_order_release);
}

static void client(uint64_t messages)
{
    if (ring)
        while (messages--) {
            put(0);
            if (is_latency)
                take(1);
        }
    else
        while (messages--) {
            send_message();
            if (is_latency)
                receive_message();
        }
}

static void server(uint64_t messages)
{
    if (ring)
        while (messages--) {
            take(0);
            if (is_latency)
                put(1);
        }
    else
        while (messages--) {
            receive_message();
            if (is_latency)
                send_message();
        }
}

static void open_pipes(int ends[2][2])
{
    int forth[2], back[2];
    if (pipe(forth) || pipe(back))
        die("pipe");
    ends[0][0] = back[0], ends[0][1] = forth[1];
    ends[1][0] = forth[0], ends[1][1] = back[1];
}

static void open_unix(int ends[2][2])
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        die("socketpair");
    ends[0][0] = ends[0][1] = pair[0];
    ends[1][0] = ends[1][1] = pair[1];
}

static void open_inet(int ends[2][2])
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0), near = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (void *)&address, length) || listen(listener, 1) ||
        getsockname(listener, (void *)&address, &length) ||
        connect(near, (void *)&address, length))
        die("inet");
    int far = accept(listener, NULL, NULL);
    setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    close(listener);
    ends[0][0] = ends[0][1] = near;
    ends[1][0] = ends[1][1] = far;
}

static void make_footprint(size_t wanted)
{
    char *made = aligned_alloc(4096, (wanted * LINE + 4095) / 4096 * 4096);
    if (!made)
        die("aligned_alloc");
    memset(made, 1, wanted * LINE);
    footprint = made, lines = wanted, step = SCATTER % wanted;
}

static void open_ring(void)
{
    stride = (size + LINE - 1) / LINE * LINE;
    slots = (uint32_t)(SLOT_COUNT_BYTES / stride);
    slots = slots < 2 ? 2 : slots > 64 ? 64 : slots;
    size_t bytes = sizeof *ring + slots * stride;
    ring = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ring == MAP_FAILED)
        die("mmap");
    memset(ring, 0, bytes);
}

int main(int count, char **words)
{
    if (count != 6 && count != 7) {
        fprintf(stderr,
                "usage: %s pipe|unix|inet|shm-spin latency|throughput SIZE CPU CPU [LINES]\n",
                words[0]);
        return 2;
    }
    if (count == 7 && strtoul(words[6], NULL, 10) > 0)
        make_footprint(strtoul(words[6], NULL, 10));
    int ends[2][2] = {{-1, -1}, {-1, -1}}, orders[2], answers[2];
    is_latency = !strcmp(words[2], "latency");
    size = strtoul(words[3], NULL, 10);
    is_socket = !strcmp(words[1], "unix") || !strcmp(words[1], "inet");
    buffer = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    memset(buffer, 1, size);
    if (!strcmp(words[1], "pipe"))
        open_pipes(ends);
    else if (!strcmp(words[1], "unix"))
        open_unix(ends);
    else if (!strcmp(words[1], "inet"))
        open_inet(ends);
    else
        open_ring();
    if (pipe(orders) || pipe(answers))
        die("pipe");
    pid_t parent = getpid(), child = fork();
    int side = child == 0;
    reader = ends[side][0], writer = ends[side][1];
    if (!ring) {
        close(ends[!side][0]);
        if (ends[!side][1] != ends[!side][0])
            close(ends[!side][1]);
    }
    pin(atoi(words[4 + side]));
    uint64_t messages;
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            return 1;
        while (read(orders[0], &messages, sizeof messages) == sizeof messages && messages) {
            server(messages);
            if (write(answers[1], &messages, sizeof messages) != sizeof messages)
                return 1;
        }
        return 0;
    }
    char line[64];
    while (fgets(line, sizeof line, stdin) && (messages = strtoull(line, NULL, 10)) > 0) {
        struct timespec before, after;
        uint64_t answer;
        if (write(orders[1], &messages, sizeof messages) != sizeof messages)
            die("write");
        clock_gettime(CLOCK_MONOTONIC, &before);
        client(messages);
        if (read(answers[0], &answer, sizeof answer) != sizeof answer)
            die("read");
        clock_gettime(CLOCK_MONOTONIC, &after);
        printf("%.9f\n", (double)(after.tv_sec - before.tv_sec) +
                             (double)(after.tv_nsec - before.tv_nsec) * 1e-9);
        fflush(stdout);
    }
    messages = 0;
    if (write(orders[1], &messages, sizeof messages) != sizeof messages)
        die("write");
    waitpid(child, NULL, 0);
    return 0;
}
