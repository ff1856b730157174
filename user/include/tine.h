/*
 * tine.h - the calls of OpenBSD that Linux lacks, for C programs on Tine.
 *
 * Tine numbers them at 0x1000 + OpenBSD's number. A call returns its result, or minus an error number of Linux's;
 * a kernel that does not know it returns -38 (ENOSYS). Nothing here needs a C library.
 */
#ifndef TINE_H
#define TINE_H

#include <stddef.h>
#include <stdint.h>

#define TINE_SYS_fork		0x1002
#define TINE_SYS___tfork	0x1008
#define TINE_SYS_vfork		0x1042
#define TINE_SYS_minherit	0x10fa
#define TINE_SYS_issetugid	0x10fd
#define TINE_SYS_getthrid	0x112b
#define TINE_SYS_counters	0x1f00

/* What a child gets of a piece of memory: minherit. */
#define TINE_INHERIT_SHARE	0	/* the memory itself */
#define TINE_INHERIT_COPY	1	/* a copy */
#define TINE_INHERIT_NONE	2	/* nothing is mapped there */
#define TINE_INHERIT_ZERO	3	/* zeroes */

/* A new thread. The kernel takes a shorter block too, and zeroes for the rest. */
struct tine_tfork {
	void	*tf_tcb;	/* TPIDR_EL0 of the new thread */
	int	*tf_tid;	/* its number is stored there before it runs, unless null */
	void	*tf_stack;	/* its stack pointer; never null */
};

/* What the kernel counts. */
struct tine_counters {
	uint64_t free_frames;		/* those in the caches of the cores included */
	uint64_t page_tables;
	uint64_t user_anonymous;
	uint64_t stacks;
	uint64_t processes;		/* zombies included */
	uint64_t threads;
	uint64_t forks;
	uint64_t forks_ppwait;
	uint64_t forks_sharevm;
	uint64_t cntfork, sizfork;
	uint64_t cntvfork, sizvfork;
	uint64_t cnttfork;
	uint64_t cntkthread;
	uint64_t kernel_heap_frames;
	uint64_t object_pool_frames;
	uint64_t refused;
};

static inline long
tine_call(long number, long a, long b, long c)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
}

/* 0 in the child, the child's number in the parent. */
static inline long
tine_fork(void)
{
	return tine_call(TINE_SYS_fork, 0, 0, 0);
}

/* The same; the parent waits for the child's exec or exit. The child's memory is a copy. */
static inline __attribute__((__always_inline__)) long
tine_vfork(void)
{
	return tine_call(TINE_SYS_vfork, 0, 0, 0);
}

/*
 * Runs entry(argument) in a new thread; returns its number. entry must not return, and must not use the C library
 * unless tf_tcb is a block that the C library made.
 */
static inline long
tine_tfork(const struct tine_tfork *block, void (*entry)(void *), void *argument)
{
	register long x8 __asm__("x8") = TINE_SYS___tfork;
	register const void *x0 __asm__("x0") = block;
	register long x1 __asm__("x1") = sizeof(*block);
	register void *x20 __asm__("x20") = argument;
	register void (*x21)(void *) __asm__("x21") = entry;

	__asm__ volatile(
	    "svc	#0\n"
	    "	cbnz	x0, 1f\n"
	    "	mov	x29, xzr\n"
	    "	mov	x30, xzr\n"
	    "	mov	x0, x20\n"
	    "	br	x21\n"
	    "1:"
	    : "+r"(x0) : "r"(x8), "r"(x1), "r"(x20), "r"(x21) : "memory", "cc");
	return (long)x0;
}

static inline long
tine_getthrid(void)
{
	return tine_call(TINE_SYS_getthrid, 0, 0, 0);
}

static inline long
tine_issetugid(void)
{
	return tine_call(TINE_SYS_issetugid, 0, 0, 0);
}

static inline long
tine_minherit(void *address, size_t bytes, int inheritance)
{
	return tine_call(TINE_SYS_minherit, (long)address, (long)bytes, inheritance);
}

/* Stores as many of the counters as there is room for; returns how many bytes. */
static inline long
tine_counters(struct tine_counters *counters, size_t bytes)
{
	return tine_call(TINE_SYS_counters, (long)counters, (long)bytes, 0);
}

#endif /* TINE_H */
