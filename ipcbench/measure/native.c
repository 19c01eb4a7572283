/*
 * The timed loops in C: what drivers/blocking.py does, on the same endpoints, without the interpreter.
 *
 * Written per shape of endpoint, never per transport (ipcbench/transports/shapes.py lists
 * them): a transport of a known shape has its native loop without a line here.
 *
 * The work of both loops is the same: a message goes from a private buffer of the sender into a
 * private buffer of the receiver; through shared memory that is one copy in and one copy out.
 * Between the two clock reads of a batch stands nothing but messages. The GIL is released for the
 * whole batch. A call that a signal interrupts gives Python's handlers their turn, and is called
 * again unless one of them raised; a spinning wait does the same now and then.
 */

#define _GNU_SOURCE
#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/futex.h>
#include <mqueue.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#endif

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/* How often a spinning wait looks for signals: about once a millisecond. */
#define SPINS_BETWEEN_SIGNALS (1u << 14)

/* How often a wait that spins first looks, before it reads the clock: for about a microsecond. */
#define SPINS_BETWEEN_CLOCKS 16

/* Most messages that one system call moves: UIO_MAXIOV of linux/uio.h. */
#define MOST_AT_ONCE 1024

/* What a step of a loop comes to. */
enum { DONE = 0, FAILED = -1, ENDED = -2, RAISED = -3, LOST = -4, CUT = -5, UNPAID = -6 };

/* ---- A counter that one end raises and the other end waits to lower. ------------------------ */

typedef enum { NO_COUNTER, SEMOP, POSIX_SEM, EVENTFD, SPIN, FUTEX, ADAPTIVE } counter_kind;

typedef struct {
    counter_kind kind;
    counter_kind sleeps_on;  /* ADAPTIVE: the kernel's object, one of the others but SPIN */
    int id;                  /* SEMOP: the set; EVENTFD: the descriptor */
    sem_t *semaphore;        /* POSIX_SEM */
    _Atomic uint32_t *word;  /* how often it was raised; the next word: who sleeps */
    uint32_t mine;           /* how often this end raised it (not FUTEX), or lowered it */
    int64_t spin_ns;         /* ADAPTIVE: how long it spins before it sleeps */
} counter;

/* ---- A side of a link. --------------------------------------------------------------------- */

typedef struct {
    char *slots, *next, *end;
    size_t stride;
    char *part;              /* where the next part of the ring begins: `free` counts parts */
    size_t part_stride;
    counter filled;
    counter free;
} direction;

typedef struct endpoint {
    PyObject_HEAD
    bool is_open;
    Py_buffer outgoing_view, incoming_view, memory_view;
    char *outgoing, *incoming;
    size_t size;
    int (*send)(struct endpoint *);
    int (*receive)(struct endpoint *);
    int (*ready)(struct endpoint *);  /* by endpoint_ready */
    int reader, writer;
    bool is_socket, keeps_records;  /* of a stream's descriptors */
    direction sends, receives;
    size_t moved;            /* of the message that the stream's end cut short */
    bool numbers;            /* DATAGRAM: this end writes a number over the first bytes */
    uint64_t sent, received, due, got;
    uint32_t half_window, credit, uncredited;
    uint64_t window;         /* how many round trips the client has under way */
    size_t batch;            /* how many messages a call moves at most */
    int64_t gap_ns;          /* how long the client waits before each message */
    bool gap_spins;
    int64_t elapsed_ns;      /* of the round trips alone */
    int64_t *sent_ns;        /* when each message of a sampled burst was sent */
    int64_t work_ns;         /* how long the server computes before each reply */
    const char *touched;     /* what it reads meanwhile; NULL for nothing */
    size_t touched_size, touches_at;
} endpoint;

/* ---- Several ends of one process. ------------------------------------------------------------ */

typedef struct {
    endpoint **ends;         /* borrowed from the caller's list */
    size_t count;
    size_t failed;           /* the one whose call failed */
} group;

/* ---- What an open loop is to do, and what came of it. ---------------------------------------- */

typedef struct {
    const int64_t *intended_ns;  /* when each message is to be sent, after the start */
    int64_t *sent_ns, *answered_ns;
    size_t count;
    uint64_t window;             /* most messages in flight */
    Py_ssize_t stamp;            /* where a message carries its number; -1: it carries none */
    int64_t lead_ns;             /* from now to the start */
    uint64_t held_back;          /* messages that were late since the window was full */
    group links;                 /* they carry the messages in turn */
    size_t *received;            /* replies of each */
    size_t at;                   /* the one that was looked at last */
    size_t answered;
    size_t due_number;           /* of the reply that came last, as it should be */
    int64_t number;              /* as it is */
    bool is_out_of_order;
} open_loop;

/* Of the calling thread while it is without the GIL: one may still be on its way out of a call of
   an end when another uses that end. */
static _Thread_local PyThreadState *without_gil;

static void let_gil_go(void)
{
    without_gil = PyEval_SaveThread();
}

/* Leaves errno as it is. */
static void take_gil(void)
{
    int failure = errno;
    PyEval_RestoreThread(without_gil);
    errno = failure;
}

/* Lets Python's signal handlers run. DONE to go on, RAISED if one of them raised. */
static int handle_signals(void)
{
    take_gil();
    int raised = PyErr_CheckSignals();
    let_gil_go();
    return raised ? RAISED : DONE;
}

/* After a call that returned -1: DONE to call it again, else what became of it. */
static int after_failure(void)
{
    return errno == EINTR ? handle_signals() : FAILED;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield" ::: "memory");
#endif
}

/* ---- Shape "stream": descriptors of a byte stream. ------------------------------------------ */

#define WHOLE(call, buffer)                                                                        \
    size_t moved = 0;                                                                              \
    while (moved != self->size) {                                                                  \
        char *rest = (buffer) + moved;                                                             \
        ssize_t more = call;                                                                       \
        if (more > 0) {                                                                            \
            moved += (size_t)more;                                                                 \
        } else if (more == 0) {                                                                    \
            self->moved = moved;                                                                   \
            return ENDED;                                                                          \
        } else {                                                                                   \
            int outcome = after_failure();                                                         \
            if (outcome != DONE)                                                                   \
                return outcome;                                                                    \
        }                                                                                          \
    }                                                                                              \
    return DONE

static int send_to_socket(endpoint *self)
{
    WHOLE(send(self->writer, rest, self->size - moved, MSG_NOSIGNAL), self->outgoing);
}

static int receive_from_socket(endpoint *self)
{
    WHOLE(recv(self->reader, rest, self->size - moved, MSG_WAITALL), self->incoming);
}

static int send_to_pipe(endpoint *self)
{
    WHOLE(write(self->writer, rest, self->size - moved), self->outgoing);
}

static int receive_from_pipe(endpoint *self)
{
    WHOLE(read(self->reader, rest, self->size - moved), self->incoming);
}

/* ---- Shape "slots": slots in shared memory, and counters that say which are filled. --------- */

static int semaphore_add(int id, short change)
{
    struct sembuf operation = {.sem_num = 0, .sem_op = change, .sem_flg = 0};
    while (semop(id, &operation, 1) == -1) {
        int outcome = after_failure();
        if (outcome != DONE)
            return outcome;
    }
    return DONE;
}

static int posix_semaphore_move(sem_t *semaphore, bool raises)
{
    while ((raises ? sem_post(semaphore) : sem_wait(semaphore)) == -1) {
        int outcome = after_failure();
        if (outcome != DONE)
            return outcome;
    }
    return DONE;
}

static int eventfd_move(int descriptor, bool raises)
{
    uint64_t one = 1;
    while ((raises ? write(descriptor, &one, sizeof one) : read(descriptor, &one, sizeof one)) ==
           -1) {
        int outcome = after_failure();
        if (outcome != DONE)
            return outcome;
    }
    return DONE;
}

#ifdef __linux__
/* futex(2). Not FUTEX_PRIVATE: the word is shared by two processes. */
static long futex(_Atomic uint32_t *word, int operation, uint32_t value)
{
    return syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}
#endif

static int raise_in_kernel(counter *counter)
{
    switch (counter->kind) {
    case SEMOP:
        return semaphore_add(counter->id, 1);
    case POSIX_SEM:
        return posix_semaphore_move(counter->semaphore, true);
    case EVENTFD:
        return eventfd_move(counter->id, true);
#ifdef __linux__
    case FUTEX:
        atomic_fetch_add(counter->word, 1);
        if (atomic_load(counter->word + 1) && futex(counter->word, FUTEX_WAKE, 1) == -1)
            return FAILED;
        return DONE;
#endif
    default:
        return DONE;
    }
}

static int spin_until_raised(counter *counter)
{
    uint32_t spins = 0;
    while (atomic_load_explicit(counter->word, memory_order_acquire) == counter->mine) {
        relax();
        if (++spins == SPINS_BETWEEN_SIGNALS) {
            spins = 0;
            int outcome = handle_signals();
            if (outcome != DONE)
                return outcome;
        }
    }
    counter->mine++;
    return DONE;
}

#ifdef __linux__
static int sleep_until_raised(counter *counter)
{
    while (atomic_load(counter->word) == counter->mine) {
        atomic_store(counter->word + 1, 1);
        long slept = futex(counter->word, FUTEX_WAIT, counter->mine);
        if (slept == -1 && errno != EAGAIN) {
            int outcome = after_failure();
            if (outcome != DONE)
                return outcome;
        }
    }
    atomic_store(counter->word + 1, 0);
    counter->mine++;
    return DONE;
}
#endif

static int lower_in_kernel(counter *counter)
{
    switch (counter->kind) {
    case SEMOP:
        return semaphore_add(counter->id, -1);
    case POSIX_SEM:
        return posix_semaphore_move(counter->semaphore, false);
    case EVENTFD:
        return eventfd_move(counter->id, false);
#ifdef __linux__
    case FUTEX:
        return sleep_until_raised(counter);
#endif
    default:
        return DONE;
    }
}

/*
 * A counter that is ADAPTIVE is a word in memory; the kernel's object only sleeps and wakes. The
 * waiting end says that it sleeps and then looks at the word once more; the other end writes the
 * word and then looks whether anybody sleeps. All four are sequentially consistent, so at least one
 * of them sees what the other did (Dekker). Whoever takes the flag back decides: a wake-up is sent
 * if, and only if, the raising end took it, and so there is never more than one on its way. One
 * that a broken wait left behind makes the next wait look once more.
 */

static inline bool is_raised(const counter *counter)
{
    return atomic_load_explicit(counter->word, memory_order_acquire) != counter->mine;
}

static int wake(counter *counter)
{
    switch (counter->sleeps_on) {
    case SEMOP:
        return semaphore_add(counter->id, 1);
    case POSIX_SEM:
        return posix_semaphore_move(counter->semaphore, true);
    case EVENTFD:
        return eventfd_move(counter->id, true);
#ifdef __linux__
    case FUTEX:
        return futex(counter->word + 1, FUTEX_WAKE, 1) == -1 ? FAILED : DONE;
#endif
    default:
        return DONE;
    }
}

/*
 * Sleeps until a wake-up comes. A futex remembers none, so the sleep is on the flag, not the word:
 * the raising end may see the flag of one wait, and take back that of the next, on which it sends
 * the wake-up before the other end is asleep.
 */
static int sleep_in_kernel(counter *counter)
{
    switch (counter->sleeps_on) {
    case SEMOP:
        return semaphore_add(counter->id, -1);
    case POSIX_SEM:
        return posix_semaphore_move(counter->semaphore, false);
    case EVENTFD:
        return eventfd_move(counter->id, false);
#ifdef __linux__
    case FUTEX:
        if (futex(counter->word + 1, FUTEX_WAIT, 1) == -1 && errno != EAGAIN)
            return after_failure();
        return DONE;
#endif
    default:
        return DONE;
    }
}

/* Whether it is raised within its time; the clock is read now and then only. */
static bool spin_for_a_while(const counter *counter)
{
    int64_t end_ns = 0;
    if (counter->spin_ns == 0)
        return is_raised(counter);
    for (;;) {
        for (int spins = 0; spins < SPINS_BETWEEN_CLOCKS; spins++) {
            if (is_raised(counter))
                return true;
            relax();
        }
        int64_t now = now_ns();
        if (end_ns == 0)
            end_ns = now + counter->spin_ns;
        else if (now >= end_ns)
            return false;
    }
}

static int spin_then_sleep(counter *counter)
{
    _Atomic uint32_t *sleeps = counter->word + 1;
    while (!spin_for_a_while(counter)) {
        /* A signal that came meanwhile won't break the sleep. */
        int outcome = handle_signals();
        if (outcome != DONE)
            return outcome;
        atomic_store(sleeps, 1);
        if (atomic_load(counter->word) != counter->mine && atomic_exchange(sleeps, 0))
            break;
        outcome = sleep_in_kernel(counter);
        if (outcome != DONE) {
            atomic_store(sleeps, 0);
            return outcome;
        }
    }
    counter->mine++;
    return DONE;
}

/* Spinning comes first: it alone is so fast that finding out what else to do would show. */

static inline int counter_raise(counter *counter)
{
    /* One end alone raises a counter, so it need not even read it. */
    if (counter->kind == SPIN) {
        atomic_store_explicit(counter->word, ++counter->mine, memory_order_release);
        return DONE;
    }
    if (counter->kind == ADAPTIVE) {
        atomic_store(counter->word, ++counter->mine);
        bool wakes = atomic_load(counter->word + 1) && atomic_exchange(counter->word + 1, 0);
        return wakes ? wake(counter) : DONE;
    }
    return raise_in_kernel(counter);
}

static inline int counter_lower(counter *counter)
{
    if (counter->kind == SPIN)
        return spin_until_raised(counter);
    if (counter->kind != ADAPTIVE)
        return lower_in_kernel(counter);
    if (!is_raised(counter))
        return spin_then_sleep(counter);
    counter->mine++;
    return DONE;
}

/* Whether a part of the ring begins here, and so another ended; if so, looks for the next. */
static inline bool begins_part(direction *way)
{
    if (way->next != way->part)
        return false;
    way->part += way->part_stride;
    if (way->part == way->end)
        way->part = way->slots;
    return true;
}

static inline char *next_slot(direction *way)
{
    char *slot = way->next;
    way->next += way->stride;
    if (way->next == way->end)
        way->next = way->slots;
    return slot;
}

static int send_into_slot(endpoint *self)
{
    direction *way = &self->sends;
    if (way->free.kind != NO_COUNTER && begins_part(way)) {
        int outcome = counter_lower(&way->free);
        if (outcome != DONE)
            return outcome;
    }
    memcpy(next_slot(way), self->outgoing, self->size);
    return counter_raise(&way->filled);
}

static int receive_from_slot(endpoint *self)
{
    direction *way = &self->receives;
    int outcome = counter_lower(&way->filled);
    if (outcome != DONE)
        return outcome;
    memcpy(self->incoming, next_slot(way), self->size);
    bool gives_back = way->free.kind != NO_COUNTER && begins_part(way);
    return gives_back ? counter_raise(&way->free) : DONE;
}

/* ---- Shape "datagram": a connected socket that keeps messages apart, and may lose them. ------ */

/* The number that a message carries in its first bytes, as far as it has room for one. */
static uint64_t numbered(const endpoint *self, uint64_t number)
{
    return self->size < sizeof number ? number & 0xff : number;
}

static size_t number_size(const endpoint *self)
{
    return self->size < sizeof(uint64_t) ? 1 : sizeof(uint64_t);
}

/* One system call that moves a whole message or nothing. */
#define AT_ONCE(result, call)                                                                      \
    ssize_t result;                                                                                \
    while ((result = (call)) == -1) {                                                              \
        int outcome = after_failure();                                                             \
        if (outcome != DONE)                                                                       \
            return outcome;                                                                        \
    }

static int await_credit(endpoint *self)
{
    char credit;
    ssize_t got;
    while ((got = recv(self->reader, &credit, 1, 0)) == -1) {
        int outcome = errno == EAGAIN ? UNPAID : after_failure();
        if (outcome != DONE)
            return outcome;
    }
    if (got != 1)
        return CUT;
    self->credit += self->half_window;
    return DONE;
}

static int give_credit(endpoint *self)
{
    self->uncredited = 0;
    AT_ONCE(sent, send(self->writer, "c", 1, MSG_NOSIGNAL));
    (void)sent;
    return DONE;
}

static int send_datagram(endpoint *self)
{
    if (self->half_window) {
        int outcome = self->credit ? DONE : await_credit(self);
        if (outcome != DONE)
            return outcome;
        self->credit--;
    }
    if (self->numbers) {
        uint64_t number = numbered(self, self->sent++);
        memcpy(self->outgoing, &number, number_size(self));
    }
    AT_ONCE(sent, send(self->writer, self->outgoing, self->size, MSG_NOSIGNAL));
    return (size_t)sent == self->size ? DONE : CUT;
}

static int receive_datagram(endpoint *self)
{
    AT_ONCE(got, recv(self->reader, self->incoming, self->size, MSG_TRUNC));
    self->moved = (size_t)got;
    if (self->moved != self->size)
        return CUT;
    uint64_t number = 0;
    memcpy(&number, self->incoming, number_size(self));
    self->due = numbered(self, self->received++);
    self->got = number;
    if (number != self->due)
        return LOST;
    if (self->half_window && ++self->uncredited == self->half_window)
        return give_credit(self);
    return DONE;
}

/* ---- Shape "queue": message queues of the kernel. -------------------------------------------- */

/* msgop(2): the message's type stands in front of its text, so in front of either buffer. */
static int send_to_sysv_queue(endpoint *self)
{
    long *message = (long *)(void *)(self->outgoing - sizeof(long));
    *message = 1;
    AT_ONCE(sent, msgsnd(self->writer, message, self->size, 0));
    (void)sent;
    return DONE;
}

static int receive_from_sysv_queue(endpoint *self)
{
    AT_ONCE(got, msgrcv(self->reader, self->incoming - sizeof(long), self->size, 0, 0));
    self->moved = (size_t)got;
    return self->moved == self->size ? DONE : CUT;
}

#ifdef __linux__
static int send_to_posix_queue(endpoint *self)
{
    AT_ONCE(sent, mq_send((mqd_t)self->writer, self->outgoing, self->size, 0));
    (void)sent;
    return DONE;
}

static int receive_from_posix_queue(endpoint *self)
{
    AT_ONCE(got, mq_receive((mqd_t)self->reader, self->incoming, self->size, NULL));
    self->moved = (size_t)got;
    return self->moved == self->size ? DONE : CUT;
}
#endif

/* ---- Shapes "nothing" and "copy": the controls. --------------------------------------------- */

static int do_nothing(endpoint *self)
{
    (void)self;
    return DONE;
}

static int copy(endpoint *self)
{
    memcpy(self->incoming, self->outgoing, self->size);
    __asm__ __volatile__("" ::: "memory");  /* the next copy must not be folded into this one */
    return DONE;
}

static int refuse(endpoint *self)
{
    (void)self;
    errno = EOPNOTSUPP;
    return FAILED;
}

/* ---- Whether a message waits to be received. -------------------------------------------------- */

/* Whether a read would return at once, were it with the stream's end or an error. poll(2) */
static int descriptor_ready(int descriptor)
{
    struct pollfd readable = {.fd = descriptor, .events = POLLIN};
    int count = poll(&readable, 1, 0);
    return count == -1 && errno == EINTR ? 0 : count;
}

static int counter_ready(const counter *counter)
{
    int value;
    switch (counter->kind) {
    case SEMOP:
        value = semctl(counter->id, 0, GETVAL);
        return value == -1 ? -1 : value > 0;
    case POSIX_SEM:
        return sem_getvalue(counter->semaphore, &value) == -1 ? -1 : value > 0;
    case EVENTFD:
        return descriptor_ready(counter->id);
    case NO_COUNTER:
        return 1;
    case SPIN:
    case FUTEX:
    case ADAPTIVE:
        break;
    }
    return is_raised(counter);
}

static int reader_ready(endpoint *self)
{
    return descriptor_ready(self->reader);
}

static int slot_ready(endpoint *self)
{
    return counter_ready(&self->receives.filled);
}

static int sysv_queue_ready(endpoint *self)
{
    struct msqid_ds state;
    return msgctl(self->reader, IPC_STAT, &state) == -1 ? -1 : state.msg_qnum > 0;
}

static int always_ready(endpoint *self)
{
    (void)self;
    return 1;
}

/*
 * Whether a message's beginning waits, so that `receive` returns without a long wait: 1 or 0, and
 * -1 with errno. It neither waits nor receives anything, and needs no GIL. At the end of a stream,
 * and after an error, it is 1, and `receive` fails. A signal isn't handled here.
 */
static inline int endpoint_ready(endpoint *self)
{
    return self->ready(self);
}

/* ---- The loops. ----------------------------------------------------------------------------- */

static int send_all(endpoint *self, uint64_t messages)
{
    int outcome = DONE;
    while (messages-- && !outcome)
        outcome = self->send(self);
    return outcome;
}

static int receive_all(endpoint *self, uint64_t messages)
{
    int outcome = DONE;
    while (messages-- && !outcome)
        outcome = self->receive(self);
    return outcome;
}

static int send_and_receive_all(endpoint *self, uint64_t messages)
{
    int outcome = DONE;
    while (messages-- && !outcome)
        if (!(outcome = self->send(self)))
            outcome = self->receive(self);
    return outcome;
}

/* The time is of a window that is full: filling it, and emptying it, isn't in it. */
static int ping(endpoint *self, uint64_t messages)
{
    uint64_t ahead = self->window - 1;
    int outcome = send_all(self, ahead);
    int64_t began = now_ns();
    if (!outcome)
        outcome = send_and_receive_all(self, messages);
    self->elapsed_ns = now_ns() - began;
    return outcome ? outcome : receive_all(self, ahead);
}

static int pong(endpoint *self, uint64_t messages)
{
    int outcome = DONE;
    while (messages-- && !outcome)
        if (!(outcome = self->receive(self)))
            outcome = self->send(self);
    return outcome;
}

/* A round trip begins where another ends: one clock read a message. */
static int ping_sampled(endpoint *self, int64_t *samples_ns, size_t count)
{
    size_t ahead = (self->window < count ? (size_t)self->window : count) - 1, sent = 0;
    int64_t now = now_ns(), *sent_ns = self->sent_ns;
    int outcome = DONE;
    while (sent < ahead && count && !outcome) {
        sent_ns[sent++] = now;
        outcome = self->send(self);
        now = now_ns();
    }
    for (size_t got = 0; got < count && !outcome; got++) {
        if (sent < count) {
            sent_ns[sent++] = now;
            outcome = self->send(self);
        }
        if (!outcome)
            outcome = self->receive(self);
        now = now_ns();
        samples_ns[got] = now - sent_ns[got];
    }
    return outcome;
}

/*
 * ---- Several messages by one system call; drivers/vectors.py documents the loops. -------------
 */

static size_t at_once(const endpoint *self, uint64_t messages)
{
    return messages < self->batch ? (size_t)messages : self->batch;
}

/* Sends `outgoing`, or fills `incoming`, as often as the vector says. */
static ssize_t move_vector(endpoint *self, struct iovec *vector, size_t count, bool sends)
{
    if (!self->is_socket)
        return sends ? writev(self->writer, vector, (int)count)
                     : readv(self->reader, vector, (int)count);
    struct msghdr header = {.msg_iov = vector, .msg_iovlen = count};
    return sends ? sendmsg(self->writer, &header, MSG_NOSIGNAL)
                 : recvmsg(self->reader, &header, MSG_WAITALL);
}

static int move_in_vectors(endpoint *self, uint64_t messages, bool sends)
{
    char *buffer = sends ? self->outgoing : self->incoming;
    struct iovec vector[MOST_AT_ONCE];
    size_t left, size = self->size;
    for (size_t index = 0; index < at_once(self, messages); index++)
        vector[index] = (struct iovec){.iov_base = buffer, .iov_len = size};
    for (; messages; messages -= left) {
        size_t count = at_once(self, messages), bytes = count * size;
        left = count;
        while (bytes) {
            size_t rest = (bytes + size - 1) / size, moved = rest * size - bytes;
            vector[0] = (struct iovec){.iov_base = buffer + moved, .iov_len = size - moved};
            ssize_t more = move_vector(self, vector, rest, sends);
            if (more > 0) {
                bytes -= (size_t)more;
            } else if (more == 0) {
                self->moved = moved;
                return ENDED;
            } else {
                int outcome = after_failure();
                if (outcome != DONE)
                    return outcome;
            }
        }
    }
    return DONE;
}

#ifdef __linux__
static int move_records(endpoint *self, uint64_t messages, bool sends)
{
    struct iovec message = {.iov_base = sends ? self->outgoing : self->incoming,
                            .iov_len = self->size};
    struct mmsghdr headers[MOST_AT_ONCE];
    for (size_t index = 0; index < at_once(self, messages); index++)
        headers[index].msg_hdr = (struct msghdr){.msg_iov = &message, .msg_iovlen = 1};
    while (messages) {
        unsigned int count = (unsigned int)at_once(self, messages);
        int moved = sends ? sendmmsg(self->writer, headers, count, MSG_NOSIGNAL)
                          : recvmmsg(self->reader, headers, count, MSG_WAITFORONE, NULL);
        for (int index = 0; index < moved; index++) {
            self->moved = headers[index].msg_len;
            if (self->moved != self->size)
                return self->moved ? CUT : ENDED;
        }
        if (moved > 0) {
            messages -= (unsigned int)moved;
            continue;
        }
        int outcome = after_failure();
        if (outcome != DONE)
            return outcome;
    }
    return DONE;
}

/* Each datagram has its own number, in front of what all of them share. */
typedef struct {
    uint64_t numbers[MOST_AT_ONCE];
    struct iovec parts[2 * MOST_AT_ONCE];
    struct mmsghdr headers[MOST_AT_ONCE];
} datagrams;

static void lay_out(const endpoint *self, datagrams *several, char *buffer, size_t count)
{
    size_t bytes = number_size(self);
    for (size_t index = 0; index < count; index++) {
        struct iovec *parts = several->parts + 2 * index;
        parts[0] = (struct iovec){.iov_base = several->numbers + index, .iov_len = bytes};
        parts[1] = (struct iovec){.iov_base = buffer + bytes, .iov_len = self->size - bytes};
        several->headers[index].msg_hdr = (struct msghdr){.msg_iov = parts, .msg_iovlen = 2};
    }
}

static int send_datagrams(endpoint *self, uint64_t messages)
{
    datagrams several;
    lay_out(self, &several, self->outgoing, at_once(self, messages));
    while (messages) {
        size_t count = at_once(self, messages);
        if (self->half_window) {
            int outcome = self->credit ? DONE : await_credit(self);
            if (outcome != DONE)
                return outcome;
            count = count < self->credit ? count : self->credit;
        }
        for (size_t index = 0; index < count; index++)
            several.numbers[index] = numbered(self, self->sent + index);
        AT_ONCE(sent, sendmmsg(self->writer, several.headers, (unsigned int)count, MSG_NOSIGNAL));
        for (ssize_t index = 0; index < sent; index++)
            if (several.headers[index].msg_len != self->size)
                return CUT;
        if (self->half_window)
            self->credit -= (uint32_t)sent;
        self->sent += (uint64_t)sent;
        messages -= (uint64_t)sent;
        memcpy(self->outgoing, several.numbers + sent - 1, number_size(self));
    }
    return DONE;
}

static int receive_datagrams(endpoint *self, uint64_t messages)
{
    datagrams several;
    lay_out(self, &several, self->incoming, at_once(self, messages));
    while (messages) {
        unsigned int count = (unsigned int)at_once(self, messages);
        memset(several.numbers, 0, count * sizeof *several.numbers);
        AT_ONCE(got, recvmmsg(self->reader, several.headers, count, MSG_WAITFORONE, NULL));
        for (ssize_t index = 0; index < got; index++) {
            self->moved = several.headers[index].msg_len;
            if (self->moved != self->size || several.headers[index].msg_hdr.msg_flags & MSG_TRUNC)
                return CUT;
            self->due = numbered(self, self->received++);
            self->got = several.numbers[index];
            if (self->got != self->due)
                return LOST;
            if (self->half_window && ++self->uncredited == self->half_window) {
                int outcome = give_credit(self);
                if (outcome != DONE)
                    return outcome;
            }
        }
        messages -= (uint64_t)got;
        memcpy(self->incoming, several.numbers + got - 1, number_size(self));
    }
    return DONE;
}
#endif

static int move_batches(endpoint *self, uint64_t messages, bool sends)
{
    bool is_stream = self->send == send_to_socket || self->send == send_to_pipe;
    if (is_stream && !self->keeps_records)
        return move_in_vectors(self, messages, sends);
#ifdef __linux__
    if (is_stream)
        return move_records(self, messages, sends);
    if (self->send == send_datagram)
        return sends ? send_datagrams(self, messages) : receive_datagrams(self, messages);
#endif
    errno = EOPNOTSUPP;
    return FAILED;
}

static int send_batches(endpoint *self, uint64_t messages)
{
    return move_batches(self, messages, true);
}

static int receive_batches(endpoint *self, uint64_t messages)
{
    return move_batches(self, messages, false);
}

/* ---- Both directions at once, over descriptors that don't block; see drivers/duplex.py. ------ */

static ssize_t send_some(endpoint *self, size_t moved)
{
    const char *rest = self->outgoing + moved;
    return self->is_socket ? send(self->writer, rest, self->size - moved, MSG_NOSIGNAL)
                           : write(self->writer, rest, self->size - moved);
}

/* Whether a call failed only since it would have to wait. */
static bool would_block(ssize_t moved)
{
    return moved == -1 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static int pump(endpoint *self, uint64_t messages)
{
    uint64_t to_send = messages, to_receive = messages;
    size_t sent = 0, got = 0;
    if (self->send != send_to_socket && self->send != send_to_pipe) {
        errno = EOPNOTSUPP;
        return FAILED;
    }
    while (to_send || to_receive) {
        bool is_stuck = true;
        for (int receives = 0; receives <= 1; receives++) {
            if (!(receives ? to_receive : to_send))
                continue;
            ssize_t more = receives ? read(self->reader, self->incoming + got, self->size - got)
                                    : send_some(self, sent);
            if (would_block(more))
                continue;
            is_stuck = false;
            if (more == 0) {
                self->moved = got;
                return ENDED;
            }
            if (more == -1) {
                int outcome = after_failure();
                if (outcome != DONE)
                    return outcome;
            } else if (receives && (got += (size_t)more) == self->size) {
                got = 0;
                to_receive--;
            } else if (!receives && (sent += (size_t)more) == self->size) {
                sent = 0;
                to_send--;
            }
        }
        if (!is_stuck)
            continue;
        struct pollfd ends[] = {
            {.fd = to_send ? self->writer : -1, .events = POLLOUT},
            {.fd = to_receive ? self->reader : -1, .events = POLLIN},
        };
        if (poll(ends, 2, -1) == -1) {
            int outcome = after_failure();
            if (outcome != DONE)
                return outcome;
        }
    }
    return DONE;
}

/*
 * ---- The loops with something to do between messages; drivers/paced.py documents them. --------
 */

/* How long a wait that spins goes on before it looks for signals. */
#define NS_BETWEEN_SIGNALS 1000000

static int spin_for(int64_t duration_ns)
{
    int64_t now = now_ns(), end = now + duration_ns, look = now + NS_BETWEEN_SIGNALS;
    while ((now = now_ns()) < end) {
        relax();
        if (now >= look) {
            int outcome = handle_signals();
            if (outcome != DONE)
                return outcome;
            look = now + NS_BETWEEN_SIGNALS;
        }
    }
    return DONE;
}

static int sleep_for(int64_t duration_ns)
{
    int64_t left, end = now_ns() + duration_ns;
    while ((left = end - now_ns()) > 0) {
        struct timespec time = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        int outcome = nanosleep(&time, NULL) == -1 ? after_failure() : DONE;
        if (outcome != DONE)
            return outcome;
    }
    return DONE;
}

/* A round trip after a gap; `took_ns` is the time of the round trip. */
static int ping_after_gap(endpoint *self, int64_t *took_ns)
{
    int outcome = self->gap_spins ? spin_for(self->gap_ns) : sleep_for(self->gap_ns);
    if (outcome != DONE)
        return outcome;
    int64_t began = now_ns();
    if (!(outcome = self->send(self)))
        outcome = self->receive(self);
    *took_ns = now_ns() - began;
    return outcome;
}

static int ping_with_gaps(endpoint *self, uint64_t messages)
{
    int outcome = DONE;
    int64_t took_ns = 0;
    self->elapsed_ns = 0;
    while (messages-- && !(outcome = ping_after_gap(self, &took_ns)))
        self->elapsed_ns += took_ns;
    return outcome;
}

static int ping_with_gaps_sampled(endpoint *self, int64_t *samples_ns, size_t count)
{
    int outcome = DONE;
    for (size_t index = 0; index < count && !outcome; index++)
        outcome = ping_after_gap(self, &samples_ns[index]);
    return outcome;
}

/* How much memory a working server reads between two looks at the clock, and how far apart. */
#define TOUCHED_AT_ONCE 4096
#define CACHE_LINE 64

static void touch(endpoint *self)
{
    size_t end = self->touches_at + TOUCHED_AT_ONCE;
    if (end > self->touched_size)
        end = self->touched_size;
    for (size_t at = self->touches_at; at < end; at += CACHE_LINE)
        (void)*(const volatile char *)(self->touched + at);
    self->touches_at = end == self->touched_size ? 0 : end;
}

/* Not with `relax`: who computes doesn't make room for the other thread of its core. */
static void work(endpoint *self)
{
    int64_t end = now_ns() + self->work_ns;
    do {
        if (self->touched != NULL)
            touch(self);
    } while (now_ns() < end);
}

static int pong_with_work(endpoint *self, uint64_t messages)
{
    int outcome = DONE;
    while (messages-- && !outcome)
        if (!(outcome = self->receive(self))) {
            work(self);
            outcome = self->send(self);
        }
    return outcome;
}

/* ---- The open loop; drivers/open_loop.py documents it. --------------------------------------- */

static void write_stamp(const open_loop *load, endpoint *end, int64_t number, int64_t intended_ns)
{
    if (load->stamp == -1)
        return;
    int64_t words[] = {number, intended_ns};
    memcpy(end->outgoing + load->stamp, words, sizeof words);
}

/*
 * Looks for a reply, at each link that waits for one, and first at the one after that which had the
 * last: 1 and `at` has one, 0, or -1 with errno.
 */
static int look_for_reply(open_loop *load, size_t sent)
{
    group *links = &load->links;
    for (size_t step = 1; step <= links->count; step++) {
        size_t link = (load->at + step) % links->count;
        if (link + load->received[link] * links->count >= sent)
            continue;  /* all that went this way is answered */
        links->failed = link;
        int ready = endpoint_ready(links->ends[link]);
        if (ready) {
            load->at = link;
            return ready;
        }
    }
    return 0;
}

/* Whether the reply carries the number that is this link's next, if it can carry one. */
static bool is_next(open_loop *load, size_t link)
{
    load->due_number = link + load->received[link] * load->links.count;
    if (load->stamp == -1)
        return true;
    memcpy(&load->number, load->links.ends[link]->incoming + load->stamp, sizeof load->number);
    return load->number == (int64_t)load->due_number;
}

static int send_at_times(open_loop *load)
{
    group *links = &load->links;
    size_t sent = 0;
    bool was_full = false, was_held_back = false, in_vain = false;
    int outcome;
    int64_t start = now_ns() + load->lead_ns, due = start + load->intended_ns[0], look = start;
    int64_t filled = start, waited_ns = 0;
    while (load->answered < load->count) {
        int64_t now = now_ns();
        size_t in_flight = sent - load->answered;
        int ready = 0;
        if (in_flight < load->window && sent < load->count && now >= due) {
            endpoint *end = links->ends[links->failed = sent % links->count];
            write_stamp(load, end, (int64_t)sent, due - start);
            load->sent_ns[sent] = now - start;
            if ((outcome = end->send(end)) != DONE)
                return outcome;
            load->held_back += was_full;
            was_held_back = was_full;
            was_full = false;
            if (in_flight + 1 == load->window) {
                filled = now_ns();
                in_vain = false;
            }
            if (++sent < load->count)
                due = start + load->intended_ns[sent];
        } else if (in_flight && (ready = look_for_reply(load, sent)) != 0) {
            if (ready == -1)
                return FAILED;
            endpoint *end = links->ends[load->at];
            if ((outcome = end->receive(end)) != DONE)
                return outcome;
            now = now_ns();
            load->is_out_of_order = !is_next(load, load->at);
            load->answered_ns[load->due_number] = now - start;
            if (in_flight == load->window && sent < load->count) {
                int64_t late_ns = now - due;
                bool waited = in_vain && (now - filled >= filled - due || was_held_back);
                if (waited && (!was_held_back || late_ns > waited_ns))
                    waited_ns = late_ns;
                was_full = late_ns >= 0 && (waited || (was_held_back && late_ns <= 2 * waited_ns));
            }
            in_vain = false;
            if (load->is_out_of_order)
                return DONE;
            load->received[load->at]++;
            load->answered++;
        } else {
            in_vain = true;
            relax();
        }
        if (now >= look) {
            links->failed = 0;
            if ((outcome = handle_signals()) != DONE)
                return outcome;
            look = now + NS_BETWEEN_SIGNALS;
        }
    }
    return DONE;
}

/* ---- One writer of many readers; drivers/fan_out.py documents it. ---------------------------- */

static int send_to_all(group *readers, uint64_t messages)
{
    int outcome = DONE;
    while (messages-- && !outcome)
        for (size_t reader = 0; reader < readers->count && !outcome; reader++) {
            readers->failed = reader;
            outcome = readers->ends[reader]->send(readers->ends[reader]);
        }
    return outcome;
}

/* ---- What Python sees. ---------------------------------------------------------------------- */

/* Raises what a step came to; NULL, for its caller to return. */
static PyObject *raised(endpoint *self, int outcome)
{
    if (outcome == FAILED && errno == EAGAIN && self->receive == receive_datagram)
        return PyErr_Format(PyExc_OSError, "message %llu is lost: it didn't come in time",
                            (unsigned long long)self->received);
    if (outcome == FAILED)
        return PyErr_SetFromErrno(PyExc_OSError);
    if (outcome == UNPAID)
        PyErr_SetString(PyExc_OSError, "the receiver took no message in time: no credit came");
    if (outcome == LOST)
        PyErr_Format(PyExc_OSError, "message %llu came where %llu was due: %lld were lost",
                     (unsigned long long)self->got, (unsigned long long)self->due,
                     (long long)(self->got - self->due));
    if (outcome == CUT)
        PyErr_Format(PyExc_OSError, "a message of %zu bytes came in place of %zu", self->moved,
                     self->size);
    if (outcome == ENDED)
        PyErr_Format(PyExc_EOFError, "the stream ended after %zu of %zu bytes", self->moved,
                     self->size);
    return NULL;
}

static bool is_usable(endpoint *self)
{
    if (!self->is_open)
        PyErr_SetString(PyExc_ValueError, "the endpoint is closed");
    return self->is_open;
}

/* Runs a loop without the GIL; `started` and `ended` are the clock around it. */
static int run(endpoint *self, int (*loop)(endpoint *, uint64_t), uint64_t messages,
               int64_t *started, int64_t *ended)
{
    let_gil_go();
    *started = now_ns();
    int outcome = loop(self, messages);
    *ended = now_ns();
    take_gil();
    return outcome;
}

static PyObject *run_untimed(endpoint *self, int (*loop)(endpoint *, uint64_t), uint64_t messages)
{
    int64_t started, ended;
    if (!is_usable(self))
        return NULL;
    int outcome = run(self, loop, messages, &started, &ended);
    if (outcome != DONE)
        return raised(self, outcome);
    Py_RETURN_NONE;
}

static PyObject *endpoint_send(endpoint *self, PyObject *unused)
{
    (void)unused;
    return run_untimed(self, send_all, 1);
}

static PyObject *endpoint_receive(endpoint *self, PyObject *unused)
{
    (void)unused;
    return run_untimed(self, receive_all, 1);
}

static PyObject *is_ready(endpoint *self, PyObject *unused)
{
    (void)unused;
    if (!is_usable(self))
        return NULL;
    int ready = endpoint_ready(self);
    return ready == -1 ? PyErr_SetFromErrno(PyExc_OSError) : PyBool_FromLong(ready);
}

static PyObject *with_messages(endpoint *self, PyObject *count, int (*loop)(endpoint *, uint64_t))
{
    uint64_t messages = PyLong_AsUnsignedLongLong(count);
    return PyErr_Occurred() ? NULL : run_untimed(self, loop, messages);
}

static PyObject *server_latency(endpoint *self, PyObject *count)
{
    return with_messages(self, count, pong);
}

static PyObject *server_throughput(endpoint *self, PyObject *count)
{
    return with_messages(self, count, receive_all);
}

/* Keeps how many messages go at once; -1 with ValueError unless it is 1 to MOST_AT_ONCE. */
static int parse_at_once(unsigned long long count)
{
    if (count >= 1 && count <= MOST_AT_ONCE)
        return 0;
    PyErr_Format(PyExc_ValueError, "%llu messages at once: 1 to %d can be", count, MOST_AT_ONCE);
    return -1;
}

static PyObject *client_latency(endpoint *self, PyObject *arguments)
{
    int64_t started, ended;
    unsigned long long messages, window;
    if (!PyArg_ParseTuple(arguments, "KK:client_latency", &messages, &window) ||
        !is_usable(self) || parse_at_once(window))
        return NULL;
    self->window = window;
    int outcome = run(self, ping, messages, &started, &ended);
    if (outcome != DONE)
        return raised(self, outcome);
    return PyFloat_FromDouble((double)self->elapsed_ns * 1e-9);
}

static PyObject *run_sampled(endpoint *self, PyObject *array,
                             int (*loop)(endpoint *, int64_t *, size_t))
{
    Py_buffer samples;
    if (!is_usable(self) || PyObject_GetBuffer(array, &samples, PyBUF_WRITABLE))
        return NULL;
    let_gil_go();
    int outcome = loop(self, samples.buf, (size_t)samples.len / sizeof(int64_t));
    take_gil();
    int failure = errno;
    PyBuffer_Release(&samples);
    errno = failure;
    if (outcome != DONE)
        return raised(self, outcome);
    Py_RETURN_NONE;
}

static PyObject *client_latency_sampled(endpoint *self, PyObject *arguments)
{
    PyObject *array, *sent_array;
    unsigned long long window;
    Py_buffer sent;
    if (!PyArg_ParseTuple(arguments, "OOK:client_latency_sampled", &array, &sent_array, &window) ||
        parse_at_once(window) || PyObject_GetBuffer(sent_array, &sent, PyBUF_WRITABLE))
        return NULL;
    self->window = window;
    self->sent_ns = sent.buf;
    PyObject *answer = NULL;
    if (sent.len == PyObject_Size(array) * (Py_ssize_t)sizeof(int64_t))
        answer = run_sampled(self, array, ping_sampled);
    else
        PyErr_SetString(PyExc_ValueError, "both arrays must be of one length");
    self->sent_ns = NULL;
    PyBuffer_Release(&sent);
    return answer;
}

static PyObject *client_latency_with_gaps(endpoint *self, PyObject *arguments)
{
    unsigned long long messages;
    long long gap_ns;
    int spins;
    int64_t started, ended;
    if (!PyArg_ParseTuple(arguments, "KLp:client_latency_with_gaps", &messages, &gap_ns, &spins) ||
        !is_usable(self))
        return NULL;
    self->gap_ns = gap_ns;
    self->gap_spins = spins;
    int outcome = run(self, ping_with_gaps, messages, &started, &ended);
    if (outcome != DONE)
        return raised(self, outcome);
    return PyFloat_FromDouble((double)self->elapsed_ns * 1e-9);
}

static PyObject *client_latency_with_gaps_sampled(endpoint *self, PyObject *arguments)
{
    PyObject *array;
    long long gap_ns;
    int spins;
    if (!PyArg_ParseTuple(arguments, "OLp:client_latency_with_gaps_sampled", &array, &gap_ns,
                          &spins))
        return NULL;
    self->gap_ns = gap_ns;
    self->gap_spins = spins;
    return run_sampled(self, array, ping_with_gaps_sampled);
}

static PyObject *server_latency_with_work(endpoint *self, PyObject *arguments)
{
    unsigned long long messages;
    long long work_ns;
    PyObject *memory;
    Py_buffer touched = {NULL};
    if (!PyArg_ParseTuple(arguments, "KLO:server_latency_with_work", &messages, &work_ns, &memory))
        return NULL;
    if (memory != Py_None && PyObject_GetBuffer(memory, &touched, PyBUF_SIMPLE))
        return NULL;
    self->work_ns = work_ns;
    self->touched = touched.buf;
    self->touched_size = (size_t)touched.len;
    self->touches_at = 0;
    PyObject *answer = run_untimed(self, pong_with_work, messages);
    self->touched = NULL;
    PyBuffer_Release(&touched);  /* no harm where there is none */
    return answer;
}

/* Seconds of a batch from its first message to the receiver's word, which the call waits for. */
static PyObject *until_acknowledged(endpoint *self, int (*loop)(endpoint *, uint64_t),
                                    uint64_t messages, PyObject *acknowledged)
{
    int64_t started, ended;
    if (!is_usable(self))
        return NULL;
    int outcome = run(self, loop, messages, &started, &ended);
    if (outcome != DONE)
        return raised(self, outcome);
    PyObject *answer = PyObject_CallObject(acknowledged, NULL);
    if (answer == NULL)
        return NULL;
    Py_DECREF(answer);
    return PyFloat_FromDouble((double)(now_ns() - started) * 1e-9);
}

static PyObject *client_throughput(endpoint *self, PyObject *arguments)
{
    unsigned long long messages;
    PyObject *acknowledged;
    if (!PyArg_ParseTuple(arguments, "KO:client_throughput", &messages, &acknowledged))
        return NULL;
    return until_acknowledged(self, send_all, messages, acknowledged);
}

static PyObject *client_batches(endpoint *self, PyObject *arguments)
{
    unsigned long long messages, batch;
    PyObject *acknowledged;
    if (!PyArg_ParseTuple(arguments, "KKO:client_batches", &messages, &batch, &acknowledged) ||
        parse_at_once(batch))
        return NULL;
    self->batch = (size_t)batch;
    return until_acknowledged(self, send_batches, messages, acknowledged);
}

static PyObject *server_batches(endpoint *self, PyObject *arguments)
{
    unsigned long long messages, batch;
    if (!PyArg_ParseTuple(arguments, "KK:server_batches", &messages, &batch) ||
        parse_at_once(batch))
        return NULL;
    self->batch = (size_t)batch;
    return run_untimed(self, receive_batches, messages);
}

static PyObject *client_duplex(endpoint *self, PyObject *arguments)
{
    unsigned long long messages;
    PyObject *acknowledged;
    if (!PyArg_ParseTuple(arguments, "KO:client_duplex", &messages, &acknowledged))
        return NULL;
    return until_acknowledged(self, pump, messages, acknowledged);
}

static PyObject *duplex(endpoint *self, PyObject *count)
{
    return with_messages(self, count, pump);
}

/* ---- Several ends of one process. ------------------------------------------------------------ */

/* Takes the endpoints of a list, which the caller keeps; false with an error raised. */
static bool take_ends(PyObject *module, PyObject *list, group *all)
{
    Py_ssize_t count = PyList_Size(list);
    if (count <= 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "there must be ends");
        return false;
    }
    PyObject *type = PyObject_GetAttrString(module, "Endpoint");
    all->count = (size_t)count;
    all->ends = PyMem_Calloc(all->count, sizeof *all->ends);
    if (type != NULL && all->ends == NULL)
        PyErr_NoMemory();
    bool are_taken = type != NULL && all->ends != NULL;
    for (size_t number = 0; number < all->count && are_taken; number++) {
        PyObject *item = PyList_GetItem(list, (Py_ssize_t)number);  /* borrowed */
        int is_end = item == NULL ? -1 : PyObject_IsInstance(item, type);
        if (is_end == 0)
            PyErr_SetString(PyExc_TypeError, "these are no ends");
        are_taken = is_end == 1 && is_usable(all->ends[number] = (endpoint *)item);
    }
    Py_XDECREF(type);
    return are_taken;
}

/* The messages held back, and None or the number that a reply should have and the one it has. */
static PyObject *loaded(open_loop *load)
{
    let_gil_go();
    int outcome = send_at_times(load);
    take_gil();
    if (outcome != DONE)
        return raised(load->links.ends[load->links.failed], outcome);
    if (load->is_out_of_order)
        return Py_BuildValue("K(nL)", (unsigned long long)load->held_back,
                             (Py_ssize_t)load->due_number, (long long)load->number);
    return Py_BuildValue("KO", (unsigned long long)load->held_back, Py_None);
}

/* Whether the arrays are of one length, and a message has room for what it is to carry. */
static bool fits(const group *links, const Py_buffer *intended, const Py_buffer *sent,
                 const Py_buffer *answered, Py_ssize_t stamp)
{
    if (!intended->len || intended->len != sent->len || intended->len != answered->len)
        PyErr_SetString(PyExc_ValueError, "all arrays must be of one length, and not empty");
    for (size_t number = 0; number < links->count && !PyErr_Occurred(); number++)
        if (stamp < -1 ||
            (stamp >= 0 && (size_t)stamp + 2 * sizeof(int64_t) > links->ends[number]->size))
            PyErr_SetString(PyExc_ValueError, "a message has no room for its number there");
    return !PyErr_Occurred();
}

static PyObject *client_load(PyObject *module, PyObject *arguments)
{
    Py_buffer intended, sent, answered;
    PyObject *list, *answer = NULL;
    unsigned long long window;
    Py_ssize_t stamp;
    long long lead_ns;
    if (!PyArg_ParseTuple(arguments, "Oy*w*w*KnL:client_load", &list, &intended, &sent, &answered,
                          &window, &stamp, &lead_ns))
        return NULL;
    open_loop load = {
        .intended_ns = intended.buf, .sent_ns = sent.buf, .answered_ns = answered.buf,
        .count = (size_t)intended.len / sizeof(int64_t), .window = window, .stamp = stamp,
        .lead_ns = lead_ns,
    };
    if (!parse_at_once(window) && take_ends(module, list, &load.links) &&
        fits(&load.links, &intended, &sent, &answered, stamp)) {
        load.received = PyMem_Calloc(load.links.count, sizeof *load.received);
        load.at = load.links.count - 1;
        answer = load.received == NULL ? PyErr_NoMemory() : loaded(&load);
    }
    PyMem_Free(load.received);
    PyMem_Free(load.links.ends);
    PyBuffer_Release(&intended);
    PyBuffer_Release(&sent);
    PyBuffer_Release(&answered);
    return answer;
}

/* Sends to all readers, and has `acknowledged` called with the GIL; seconds until it returns. */
static PyObject *stream_to_all(PyObject *module, PyObject *arguments)
{
    PyObject *list, *acknowledged, *answer = NULL, *heard = NULL;
    unsigned long long messages;
    group readers = {.count = 0};
    if (!PyArg_ParseTuple(arguments, "OKO:stream_to_all", &list, &messages, &acknowledged))
        return NULL;
    if (take_ends(module, list, &readers)) {
        let_gil_go();
        int64_t started = now_ns();
        int outcome = send_to_all(&readers, messages);
        take_gil();
        if (outcome != DONE)
            raised(readers.ends[readers.failed], outcome);
        else if ((heard = PyObject_CallObject(acknowledged, NULL)) != NULL)
            answer = PyFloat_FromDouble((double)(now_ns() - started) * 1e-9);
        Py_XDECREF(heard);
    }
    PyMem_Free(readers.ends);
    return answer;
}

/*
 * ---- A server of many clients; drivers/many.py documents the loop. -----------------------------
 */

#ifdef __linux__

/* Most ends that one wait tells of. */
#define MOST_READY 64

typedef struct {
    group clients;
    uint64_t *left;              /* messages that each client has still to send */
    size_t open;                 /* clients that have some left */
    bool replies;
    const int64_t *shares;       /* numbers of the messages after which the time is noted */
    size_t share_count;
    int64_t *marks_ns;           /* these times, of one client after the other */
    size_t *noted;
    uint64_t messages;
    PyObject *acknowledge;
} many;

/* Tells that all messages of a client have come. DONE, or RAISED. */
static int acknowledge(many *all, size_t number)
{
    take_gil();
    PyObject *answer = PyObject_CallFunction(all->acknowledge, "n", (Py_ssize_t)number);
    Py_XDECREF(answer);
    let_gil_go();
    return answer == NULL ? RAISED : DONE;
}

static int serve_one(many *all, int waiting, size_t number)
{
    endpoint *end = all->clients.ends[number];
    int outcome = end->receive(end);
    if (!outcome && all->replies) {
        if (end->work_ns)
            work(end);
        outcome = end->send(end);
    }
    if (outcome)
        return outcome;
    uint64_t got = all->messages - --all->left[number];
    size_t *noted = &all->noted[number];
    if (*noted < all->share_count && got == (uint64_t)all->shares[*noted])
        all->marks_ns[number * all->share_count + (*noted)++] = now_ns();
    if (all->left[number])
        return DONE;
    all->open--;
    if (epoll_ctl(waiting, EPOLL_CTL_DEL, end->reader, NULL) == -1)
        return FAILED;
    return acknowledge(all, number);
}

static int serve_many(many *all, int waiting)
{
    struct epoll_event ready[MOST_READY];
    group *clients = &all->clients;
    for (size_t number = 0; number < clients->count; number++) {
        struct epoll_event asked = {.events = EPOLLIN, .data.u32 = (uint32_t)number};
        if (epoll_ctl(waiting, EPOLL_CTL_ADD, clients->ends[number]->reader, &asked) == -1)
            return FAILED;
    }
    while (all->open) {
        int found = epoll_wait(waiting, ready, MOST_READY, -1);
        if (found == -1) {
            int outcome = after_failure();
            if (outcome != DONE)
                return outcome;
        }
        for (int index = 0; index < found; index++) {
            clients->failed = ready[index].data.u32;
            int outcome = serve_one(all, waiting, clients->failed);
            if (outcome != DONE)
                return outcome;
        }
    }
    return DONE;
}

/* Runs the loop without the GIL; what it needs is borrowed from the caller. */
static PyObject *run_many(many *all, long long work_ns, const Py_buffer *touched)
{
    group *clients = &all->clients;
    int waiting = epoll_create1(EPOLL_CLOEXEC);
    if (waiting == -1)
        return PyErr_SetFromErrno(PyExc_OSError);
    for (size_t number = 0; number < clients->count; number++) {
        endpoint *end = clients->ends[number];
        end->work_ns = work_ns;
        end->touched = touched->buf;
        end->touched_size = (size_t)touched->len;
        end->touches_at = 0;
    }
    let_gil_go();
    int outcome = serve_many(all, waiting);
    int failure = errno;
    close(waiting);
    errno = failure;
    take_gil();
    for (size_t number = 0; number < clients->count; number++) {
        clients->ends[number]->work_ns = 0;
        clients->ends[number]->touched = NULL;
    }
    if (outcome != DONE)
        return raised(clients->ends[clients->failed], outcome);
    Py_RETURN_NONE;
}

/* Whether each of the ends has a descriptor to wait for. */
static bool can_be_waited_for(const group *all)
{
    for (size_t number = 0; number < all->count; number++)
        if (all->ends[number]->ready != reader_ready) {
            PyErr_SetString(PyExc_ValueError, "an end has no descriptor to wait for");
            return false;
        }
    return true;
}

static PyObject *serve_ready(PyObject *module, PyObject *arguments)
{
    PyObject *list, *memory, *answer = NULL;
    unsigned long long messages;
    long long work_ns;
    int replies;
    Py_buffer shares = {NULL}, marks = {NULL}, touched = {NULL};
    many all = {.open = 0};
    group *clients = &all.clients;
    if (!PyArg_ParseTuple(arguments, "OKpLOy*w*O:serve_ready", &list, &messages, &replies,
                          &work_ns, &memory, &shares, &marks, &all.acknowledge))
        return NULL;
    if (memory != Py_None && PyObject_GetBuffer(memory, &touched, PyBUF_SIMPLE))
        goto done;
    if (!take_ends(module, list, clients) || !can_be_waited_for(clients))
        goto done;
    all.open = messages ? clients->count : 0;
    all.messages = messages;
    all.replies = replies;
    all.shares = shares.buf;
    all.share_count = (size_t)shares.len / sizeof(int64_t);
    all.marks_ns = marks.buf;
    all.left = PyMem_Calloc(clients->count, sizeof *all.left);
    all.noted = PyMem_Calloc(clients->count, sizeof *all.noted);
    if (all.left == NULL || all.noted == NULL) {
        PyErr_NoMemory();
    } else if ((size_t)marks.len != clients->count * (size_t)shares.len) {
        PyErr_SetString(PyExc_ValueError, "there must be room for the marks of each end");
    } else {
        for (size_t number = 0; number < clients->count; number++)
            all.left[number] = messages;
        answer = run_many(&all, work_ns, &touched);
    }
done:
    PyMem_Free(clients->ends);
    PyMem_Free(all.left);
    PyMem_Free(all.noted);
    PyBuffer_Release(&shares);
    PyBuffer_Release(&marks);
    PyBuffer_Release(&touched);  /* no harm where there is none */
    return answer;
}

#endif

static PyObject *endpoint_close(endpoint *self, PyObject *unused)
{
    (void)unused;
    if (self->is_open) {
        self->is_open = false;
        PyBuffer_Release(&self->outgoing_view);
        PyBuffer_Release(&self->incoming_view);
        PyBuffer_Release(&self->memory_view);  /* no harm where there is none */
    }
    Py_RETURN_NONE;
}

/* ---- Making an endpoint of its shape. ------------------------------------------------------- */

/* Where `bytes` from this offset lie inside the shared memory; NULL with ValueError otherwise. */
static char *inside(endpoint *self, Py_ssize_t offset, size_t bytes)
{
    size_t size = (size_t)self->memory_view.len;
    if (offset < 0 || (size_t)offset > size || bytes > size - (size_t)offset) {
        PyErr_Format(PyExc_ValueError, "%zu bytes at %zd are outside of %zu", bytes, offset, size);
        return NULL;
    }
    return (char *)self->memory_view.buf + offset;
}

static const struct {
    const char *name;
    counter_kind kind;
} COUNTERS[] = {
    {"semop", SEMOP},
    {"posix-sem", POSIX_SEM},
    {"eventfd", EVENTFD},
    {"spin", SPIN},
#ifdef __linux__
    {"futex", FUTEX},
#endif
};

static int parse_word(endpoint *self, Py_ssize_t offset, bool raises, counter *into)
{
    into->word = (_Atomic uint32_t *)(void *)inside(self, offset, 2 * sizeof(uint32_t));
    if (into->word == NULL)
        return -1;
    into->mine = raises ? atomic_load(into->word) : 0;
    return 0;
}

/* Lowers the kernel's object by one without waiting; -1 with EAGAIN if it is at 0. */
static int lower_at_once(const counter *counter)
{
    struct sembuf operation = {.sem_num = 0, .sem_op = -1, .sem_flg = IPC_NOWAIT};
    struct pollfd readable = {.fd = counter->id, .events = POLLIN};
    uint64_t one;
    switch (counter->sleeps_on) {
    case SEMOP:
        return semop(counter->id, &operation, 1);
    case POSIX_SEM:
        return sem_trywait(counter->semaphore);
    case EVENTFD:
        if (poll(&readable, 1, 0) == 1)
            return read(counter->id, &one, sizeof one) == -1 ? -1 : 0;
        errno = EAGAIN;
        return -1;
    default:
        errno = EAGAIN;
        return -1;
    }
}

/*
 * Leaves the count to the word: the kernel's object is made with the count that the loop in Python
 * goes by, and here sends wake-ups alone. The last operation changes nothing; it leaves this
 * process's id in the semaphore, as sleeping would, for an end that never has to sleep.
 */
static int empty_for_waking(const counter *counter)
{
    int lowered;
    do {
        lowered = lower_at_once(counter);
    } while (lowered == 0 || errno == EINTR);
    struct sembuf nothing = {.sem_num = 0, .sem_op = 0, .sem_flg = IPC_NOWAIT};
    if (errno == EAGAIN && (counter->sleeps_on != SEMOP || semop(counter->id, &nothing, 1) == 0))
        return 0;
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
}

/*
 * A counter from (kind, where, word, nanoseconds), or none at all from None. It spins for so long
 * before it sleeps, unless the word's offset is -1; `raises` says what this end does.
 */
static int parse_counter(endpoint *self, PyObject *shape, bool raises, counter *into)
{
    const char *name;
    Py_ssize_t where, word = -1;
    long long spin_ns = 0;
    if (shape == Py_None)
        return 0;
    if (!PyArg_ParseTuple(shape, "sn|nL;a counter is (kind, where, word, nanoseconds)", &name,
                          &where, &word, &spin_ns))
        return -1;
    for (size_t index = 0; index < sizeof COUNTERS / sizeof *COUNTERS; index++)
        if (!strcmp(name, COUNTERS[index].name))
            into->kind = COUNTERS[index].kind;
    switch (into->kind) {
    case NO_COUNTER:
        PyErr_Format(PyExc_ValueError, "unknown kind of counter '%s'", name);
        return -1;
    case SPIN:
    case FUTEX:
        if (parse_word(self, where, raises, into))
            return -1;
        break;
    case POSIX_SEM:
        into->semaphore = (sem_t *)(uintptr_t)where;
        break;
    default:
        into->id = (int)where;
    }
    if (word == -1 || into->kind == SPIN)
        return 0;
    into->sleeps_on = into->kind;
    into->kind = ADAPTIVE;
    into->spin_ns = spin_ns;
    if (parse_word(self, word, raises, into))
        return -1;
    return raises ? 0 : empty_for_waking(into);
}

/* A way through shared memory, or none at all from None. */
static int parse_direction(endpoint *self, PyObject *shape, bool sends, direction *into)
{
    Py_ssize_t offset, stride;
    unsigned int parts, part_slots;
    PyObject *filled, *free_parts;
    if (shape == Py_None)
        return 0;
    if (!PyArg_ParseTuple(shape, "nnIIOO;a direction is (offset, stride, parts, slots of each, filled, free)",
                          &offset, &stride, &parts, &part_slots, &filled, &free_parts))
        return -1;
    if (stride < 0 || parts == 0 || part_slots == 0 || (size_t)stride < self->size) {
        PyErr_SetString(PyExc_ValueError, "slots must be as large as a message");
        return -1;
    }
    into->stride = (size_t)stride;
    into->part_stride = into->stride * part_slots;
    into->next = into->slots = inside(self, offset, into->part_stride * parts);
    into->end = into->slots + into->part_stride * parts;
    /* A sender claims the first part before it fills it; a receiver has it already. */
    into->part = sends || parts == 1 ? into->slots : into->slots + into->part_stride;
    if (into->slots == NULL || parse_counter(self, filled, sends, &into->filled))
        return -1;
    return parse_counter(self, free_parts, !sends, &into->free);
}

static int take_stream(endpoint *self, PyObject *shape)
{
    int is_socket, records = 0;
    if (!PyArg_ParseTuple(shape,
                          "Oiip|p;a stream is ('stream', reader, writer, is_socket, records)",
                          &(PyObject *){NULL}, &self->reader, &self->writer, &is_socket, &records))
        return -1;
    self->is_socket = is_socket;
    self->keeps_records = records;
    self->send = is_socket ? send_to_socket : send_to_pipe;
    self->receive = is_socket ? receive_from_socket : receive_from_pipe;
    self->ready = reader_ready;
    return 0;
}

static int take_datagram(endpoint *self, PyObject *shape)
{
    int numbers;
    if (!PyArg_ParseTuple(shape, "OipI;a datagram is ('datagram', descriptor, numbers, window)",
                          &(PyObject *){NULL}, &self->reader, &numbers, &self->half_window))
        return -1;
    self->writer = self->reader;
    self->numbers = numbers;
    self->credit = 2 * self->half_window;
    self->send = send_datagram;
    self->receive = receive_datagram;
    /* To a sender that needs credit nothing else comes. */
    self->ready = numbers && self->half_window ? refuse : reader_ready;
    return 0;
}

static int take_queue(endpoint *self, PyObject *shape)
{
    const char *kind;
    if (!PyArg_ParseTuple(shape, "Osii;a queue is ('queue', kind, receives, sends)",
                          &(PyObject *){NULL}, &kind, &self->reader, &self->writer))
        return -1;
    if (!strcmp(kind, "sysv")) {
        self->send = send_to_sysv_queue;
        self->receive = receive_from_sysv_queue;
        self->ready = self->reader == -1 ? refuse : sysv_queue_ready;
        return 0;
    }
#ifdef __linux__
    if (!strcmp(kind, "posix")) {
        self->send = send_to_posix_queue;
        self->receive = receive_from_posix_queue;
        self->ready = self->reader == -1 ? refuse : reader_ready;  /* mq_overview(7) */
        return 0;
    }
#endif
    PyErr_Format(PyExc_ValueError, "unknown kind of queue '%s'", kind);
    return -1;
}

static int take_slots(endpoint *self, PyObject *shape)
{
    PyObject *memory, *sends, *receives;
    if (!PyArg_ParseTuple(shape, "OOOO;slots are ('slots', memory, sends, receives)",
                          &(PyObject *){NULL}, &memory, &sends, &receives) ||
        PyObject_GetBuffer(memory, &self->memory_view, PyBUF_WRITABLE) ||
        parse_direction(self, sends, true, &self->sends) ||
        parse_direction(self, receives, false, &self->receives))
        return -1;
    self->send = sends == Py_None ? refuse : send_into_slot;
    self->receive = receives == Py_None ? refuse : receive_from_slot;
    self->ready = receives == Py_None ? refuse : slot_ready;
    return 0;
}

static int take_nothing(endpoint *self, PyObject *shape)
{
    (void)shape;
    self->send = self->receive = do_nothing;
    self->ready = always_ready;
    return 0;
}

static int take_copy(endpoint *self, PyObject *shape)
{
    (void)shape;
    self->send = copy;
    self->receive = do_nothing;
    self->ready = always_ready;
    return 0;
}

static const struct {
    const char *name;
    int (*take)(endpoint *, PyObject *);
} SHAPES[] = {
    {"stream", take_stream},
    {"datagram", take_datagram},
    {"queue", take_queue},
    {"slots", take_slots},
    {"nothing", take_nothing},
    {"copy", take_copy},
};

static int take_shape(endpoint *self, PyObject *shape)
{
    PyObject *kind = PyTuple_GetItem(shape, 0);
    if (kind == NULL)
        return -1;
    for (size_t index = 0; index < sizeof SHAPES / sizeof *SHAPES; index++)
        if (PyUnicode_Check(kind) && !PyUnicode_CompareWithASCIIString(kind, SHAPES[index].name))
            return SHAPES[index].take(self, shape);
    PyErr_Format(PyExc_ValueError, "unknown shape of endpoint %R", kind);
    return -1;
}

static int endpoint_init(endpoint *self, PyObject *arguments, PyObject *keywords)
{
    PyObject *shape, *outgoing, *incoming;
    if (keywords != NULL && PyDict_Size(keywords)) {
        PyErr_SetString(PyExc_TypeError, "Endpoint takes no keywords");
        return -1;
    }
    if (!PyArg_ParseTuple(arguments, "O!OO:Endpoint", &PyTuple_Type, &shape, &outgoing, &incoming))
        return -1;
    if (self->is_open) {
        PyErr_SetString(PyExc_ValueError, "the endpoint is open already");
        return -1;
    }
    if (PyObject_GetBuffer(outgoing, &self->outgoing_view, PyBUF_WRITABLE))
        return -1;
    if (PyObject_GetBuffer(incoming, &self->incoming_view, PyBUF_WRITABLE)) {
        PyBuffer_Release(&self->outgoing_view);
        return -1;
    }
    self->is_open = true;
    self->outgoing = self->outgoing_view.buf;
    self->incoming = self->incoming_view.buf;
    self->size = (size_t)self->outgoing_view.len;
    if (self->incoming_view.len != self->outgoing_view.len) {
        PyErr_SetString(PyExc_ValueError, "both buffers must be of the message's size");
        return -1;
    }
    return take_shape(self, shape);
}

static void endpoint_dealloc(endpoint *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    Py_XDECREF(endpoint_close(self, NULL));
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef ENDPOINT_METHODS[] = {
    {"send", (PyCFunction)endpoint_send, METH_NOARGS, "Sends all of `outgoing`."},
    {"receive", (PyCFunction)endpoint_receive, METH_NOARGS, "Fills all of `incoming`."},
    {"ready", (PyCFunction)is_ready, METH_NOARGS, "Whether a message waits to be received."},
    {"client_latency", (PyCFunction)client_latency, METH_VARARGS,
     "See blocking.client_latency."},
    {"client_latency_sampled", (PyCFunction)client_latency_sampled, METH_VARARGS,
     "See blocking.client_window_sampled."},
    {"client_latency_with_gaps", (PyCFunction)client_latency_with_gaps, METH_VARARGS,
     "See paced.client_latency_with_gaps."},
    {"client_latency_with_gaps_sampled", (PyCFunction)client_latency_with_gaps_sampled,
     METH_VARARGS, "See paced.client_latency_with_gaps_sampled."},
    {"server_latency", (PyCFunction)server_latency, METH_O, "See blocking.server_latency."},
    {"server_latency_with_work", (PyCFunction)server_latency_with_work, METH_VARARGS,
     "See paced.server_latency_with_work."},
    {"client_throughput", (PyCFunction)client_throughput, METH_VARARGS,
     "See blocking.client_throughput."},
    {"server_throughput", (PyCFunction)server_throughput, METH_O, "See blocking.server_throughput."},
    {"client_batches", (PyCFunction)client_batches, METH_VARARGS,
     "See vectors.moved_in_batches; until the receiver's word, in seconds."},
    {"server_batches", (PyCFunction)server_batches, METH_VARARGS,
     "See vectors.moved_in_batches."},
    {"client_duplex", (PyCFunction)client_duplex, METH_VARARGS,
     "See duplex.Pump; until the receiver's word, in seconds."},
    {"duplex", (PyCFunction)duplex, METH_O, "See duplex.Pump."},
    {"close", (PyCFunction)endpoint_close, METH_NOARGS, "Lets go of all buffers; allowed twice."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot ENDPOINT_SLOTS[] = {
    {Py_tp_doc, "Endpoint(shape, outgoing, incoming): a side of a link, driven in C."},
    {Py_tp_init, endpoint_init},
    {Py_tp_dealloc, endpoint_dealloc},
    {Py_tp_methods, ENDPOINT_METHODS},
    {0, NULL},
};

static PyType_Spec ENDPOINT_SPEC = {
    .name = "ipcbench.measure._native.Endpoint",
    .basicsize = sizeof(endpoint),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = ENDPOINT_SLOTS,
};

static int add_types(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&ENDPOINT_SPEC);
    if (type == NULL)
        return -1;
    int added = PyModule_AddObjectRef(module, "Endpoint", type);
    Py_DECREF(type);
    return added;
}

static PyModuleDef_Slot MODULE_SLOTS[] = {
    {Py_mod_exec, add_types},
    {0, NULL},
};

static PyMethodDef METHODS[] = {
    {"client_load", client_load, METH_VARARGS, "See open_loop.client_load."},
    {"stream_to_all", stream_to_all, METH_VARARGS, "See fan_out.stream_to_all."},
#ifdef __linux__
    {"serve_ready", serve_ready, METH_VARARGS, "See many.serve_ready."},
#endif
    {NULL, NULL, 0, NULL},
};

static PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "ipcbench.measure._native",
    .m_doc = "The timed loops in C; ipcbench.measure.drivers.native is their Python side.",
    .m_methods = METHODS,
    .m_slots = MODULE_SLOTS,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&MODULE);
}
