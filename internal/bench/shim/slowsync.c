/*
 * Preloaded into a server, this makes fsync and fdatasync slower, as a disk
 * would, and counts them: SLOWSYNC_DELAY is in microseconds, SLOWSYNC_COUNT a
 * file of eight octets that all processes of the server map.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static struct timespec delay;
static long *count;

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("SLOWSYNC_DELAY"), *path = getenv("SLOWSYNC_COUNT");
	long us = text ? atol(text) : 0;
	void *map;
	int fd;

	delay.tv_sec = us / 1000000;
	delay.tv_nsec = us % 1000000 * 1000;
	if (!path || (fd = open(path, O_RDWR | O_CLOEXEC)) < 0)
		return;
	map = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED)
		count = map;
}

static int slowly(const char *name, int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
	struct timespec left = delay;
	int result = real(fd), err = errno;

	if (count)
		__atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
	errno = err;
	return result;
}

int fsync(int fd) { return slowly("fsync", fd); }
int fdatasync(int fd) { return slowly("fdatasync", fd); }
