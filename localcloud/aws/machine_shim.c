/* Loaded into the processes of a machine (LD_PRELOAD): makes its clock wrong and its disk slow while its ailments say so.
 *
 * The ailments are a file of four 64-bit numbers, mapped by each process: the clock's offset in ns and until when, the disk's delay in ns
 * and until when (ns since 1970 of the true clock). Whoever changes them writes the file. Each ends by itself, whatever becomes of the writer.
 * Reached is what calls the C library: time, gettimeofday, clock_gettime, and reads, writes and syncs of regular files. Not reached are
 * programs that are linked statically or make system calls themselves, mapped files, and timers against the wall clock. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL
#define REAL(name) ({ static typeof(&name) found; if (!found) found = (typeof(&name))dlsym(RTLD_NEXT, #name); found; })

struct ailments {
    _Atomic int64_t clock_offset_ns, clock_until_ns, disk_delay_ns, disk_until_ns;
};
static struct ailments *ails;

__attribute__((constructor)) static void map_ailments(void) {
    const char *path = getenv("LOCALCLOUD_AILMENTS");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof *ails, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED) ails = mapped;
}

static int64_t true_ns(void) {
    struct timespec now;
    if (!REAL(clock_gettime) || REAL(clock_gettime)(CLOCK_REALTIME, &now)) return INT64_MAX;
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int64_t offset_ns(void) {
    if (!ails) return 0;
    int64_t until = atomic_load(&ails->clock_until_ns);
    return until && true_ns() < until ? atomic_load(&ails->clock_offset_ns) : 0;
}

static void delay(int file) {
    int64_t until = ails ? atomic_load(&ails->disk_until_ns) : 0;
    if (!until) return;
    int kept = errno;
    struct stat about;
    if (true_ns() < until && !fstat(file, &about) && S_ISREG(about.st_mode)) {
        int64_t ns = atomic_load(&ails->disk_delay_ns);
        struct timespec left = {ns / NS_PER_S, ns % NS_PER_S};
        while (nanosleep(&left, &left) && errno == EINTR) {}
    }
    errno = kept;
}

static void shift(struct timespec *when, int64_t by_ns) {
    int64_t ns = when->tv_sec * NS_PER_S + when->tv_nsec + by_ns;
    when->tv_sec = ns / NS_PER_S;
    when->tv_nsec = ns % NS_PER_S;
}

int clock_gettime(clockid_t which, struct timespec *when) {
    int failed = REAL(clock_gettime) ? REAL(clock_gettime)(which, when) : (int)syscall(SYS_clock_gettime, which, when);
    int64_t by_ns = failed ? 0 : offset_ns();
    if (by_ns && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE || which == CLOCK_TAI)) shift(when, by_ns);
    return failed;
}

int gettimeofday(struct timeval *restrict when, void *restrict zone) {
    (void)zone;
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    if (!failed) *when = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return failed;
}

time_t time(time_t *when) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now)) return (time_t)-1;
    if (when) *when = now.tv_sec;
    return now.tv_sec;
}

ssize_t read(int file, void *to, size_t size) { delay(file); return REAL(read)(file, to, size); }
ssize_t write(int file, const void *from, size_t size) { delay(file); return REAL(write)(file, from, size); }
ssize_t pread(int file, void *to, size_t size, off_t at) { delay(file); return REAL(pread)(file, to, size, at); }
ssize_t pwrite(int file, const void *from, size_t size, off_t at) { delay(file); return REAL(pwrite)(file, from, size, at); }
ssize_t pread64(int file, void *to, size_t size, off64_t at) { delay(file); return REAL(pread64)(file, to, size, at); }
ssize_t pwrite64(int file, const void *from, size_t size, off64_t at) { delay(file); return REAL(pwrite64)(file, from, size, at); }
ssize_t readv(int file, const struct iovec *to, int count) { delay(file); return REAL(readv)(file, to, count); }
ssize_t writev(int file, const struct iovec *from, int count) { delay(file); return REAL(writev)(file, from, count); }
int fsync(int file) { delay(file); return REAL(fsync)(file); }
int fdatasync(int file) { delay(file); return REAL(fdatasync)(file); }
