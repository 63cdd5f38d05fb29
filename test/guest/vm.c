/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual memory in user space: demand-zero regions, pagers of one's own, guard pages, exceptions, deferred
 * faults, frames recycled and given back, the red zone and all registers kept over a fault.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "libos/core/thread.h"
#include "libos/vm/vm.h"
#include "test/guest/tap.h"

#define PAGES	600

static struct vm_region zero = { .pager = vm_zero_pager, .flags = EXO_MAP_READ | EXO_MAP_WRITE };

static void add(struct vm_region *region, unsigned pages)
{
	region->start = vm_addresses((uint64_t)pages * EXO_PAGE_SIZE);
	region->end = region->start + (uint64_t)pages * EXO_PAGE_SIZE;
	ok(region->start && vm_add(region), "a region of %u pages", pages);
}

static void demand_zero(void)
{
	uint32_t held;
	bool good = true;

	add(&zero, PAGES);
	volatile uint64_t *words = (uint64_t *)zero.start;
	for (unsigned i = 0; i < PAGES; i++) {
		good = good && words[i * 512] == 0 && words[i * 512 + 511] == 0;
		words[i * 512 + 7] = i;
	}
	for (unsigned i = 0; i < PAGES; i++)
		good = good && words[i * 512 + 7] == i;
	ok(good, "pages are zero at first touch and keep what is written");
	ok(zero.faults == PAGES, "one fault a page (%lu)", zero.faults);
	held = frame_held();
	vm_remove(&zero);
	ok(frame_unused() >= PAGES / 2 || frame_held() < held,
	   "removing a region frees its frames (%u held, %u unused)", frame_held(), frame_unused());
	ok(vm_find(zero.start) == NULL, "and the region is gone");
	uint32_t before = frame_held();
	zero.faults = 0;
	add(&zero, PAGES);
	words = (uint64_t *)zero.start;
	good = true;
	for (unsigned i = 0; i < PAGES; i++)
		good = good && words[i * 512 + 7] == 0, words[i * 512] = ~0ULL;
	ok(good, "recycled frames are cleared");
	/* A program that has become large takes frames for page tables apart, EXO_TAKE_MAX at once. */
	ok(frame_held() <= before + PAGES + 8 + EXO_TAKE_MAX, "recycled frames are used first");
	vm_remove(&zero);
	held = frame_held();
	uint32_t given = frame_trim(), unused = frame_unused();
	ok(frame_held() == held - given && unused <= frame_held(), "the end of a run can be given back (%u)",
	   given);
}

/* A pager that maps one frame at every page of a read-only region, and counts writes to it. */
static unsigned write_attempts;
static struct frame shared;

static CORE_UPCALL const char *sharing_pager(struct vm_region *region, exo_vaddr_t va, unsigned access,
					     bool present)
{
	if (access == VM_WRITE) {
		write_attempts++;
		if (present) {
			core_disp->on.rip += 3;		/* the three bytes of: mov %al, (%rdx) and a nop */
			return NULL;
		}
	}
	return space_map_frame(PAGE_DOWN(va), region->flags, &shared) ? "cannot map" : NULL;
}

static void own_pager(void)
{
	static struct vm_region region = { .pager = sharing_pager, .flags = EXO_MAP_READ };
	bool good = true;

	ok(frame_alloc(&shared), "a frame to share");
	add(&region, 5000);
	for (unsigned i = 0; i < 5000; i += 100)
		good = good && *(volatile uint64_t *)(region.start + (uint64_t)i * EXO_PAGE_SIZE + 8) == 0;
	ok(good && region.faults == 50, "a pager of one's own resolves faults");
	uint8_t old = *(volatile uint8_t *)region.start;
	__asm__ volatile("movb %%al, (%%rdx)\n\tnop" :: "d"(region.start), "a"(old + 1) : "memory");
	uint8_t byte = *(volatile uint8_t *)region.start;
	ok(write_attempts == 1 && byte == old, "it sees a write against the page's rights (%u, %u)",
	   write_attempts, byte);
	vm_remove(&region);
}

/* --- registers and red zone ----------------------------------------------------------------------------- */

/*
 * void fault_probe(uint64_t *touch, const uint64_t before[16], uint64_t after[18]): load the registers, and
 * three words of red zone and FPU, make a fault by writing 77 to *touch with the carry set, and store what is
 * there afterwards.
 */
void fault_probe(uint64_t *touch, const uint64_t *before, uint64_t *after);
__asm__(
	".text\nfault_probe:\n\t"
	"push %rbp\n\tpush %rbx\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\tpush %rdx\n\t"
	"mov %rdi, %rax\n\tmov %rsi, %r15\n\t"
	"mov 8(%r15), %rbx\n\tmov 16(%r15), %rcx\n\tmov 24(%r15), %rdx\n\tmov 32(%r15), %rsi\n\t"
	"mov 40(%r15), %rdi\n\tmov 48(%r15), %rbp\n\tmov 56(%r15), %r8\n\tmov 64(%r15), %r9\n\t"
	"mov 72(%r15), %r10\n\tmov 80(%r15), %r11\n\tmov 88(%r15), %r12\n\tmov 96(%r15), %r13\n\t"
	"mov 104(%r15), %r14\n\tmov 112(%r15), %r15\n\t"
	"mov %r14, -8(%rsp)\n\tmov %r13, -128(%rsp)\n\tmovq %r12, %xmm5\n\tstc\n\t"
	"movq $77, (%rax)\n\t"		/* the fault */
	"sbb %rax, %rax\n\t"		/* all ones: the carry was kept */
	"xchg %rbp, (%rsp)\n\tmov %rax, (%rbp)\n\tmov (%rsp), %rax\n\tmov %rax, 48(%rbp)\n\t"
	"mov %rbx, 8(%rbp)\n\tmov %rcx, 16(%rbp)\n\tmov %rdx, 24(%rbp)\n\tmov %rsi, 32(%rbp)\n\t"
	"mov %rdi, 40(%rbp)\n\tmov %r8, 56(%rbp)\n\tmov %r9, 64(%rbp)\n\tmov %r10, 72(%rbp)\n\t"
	"mov %r11, 80(%rbp)\n\tmov %r12, 88(%rbp)\n\tmov %r13, 96(%rbp)\n\tmov %r14, 104(%rbp)\n\t"
	"mov %r15, 112(%rbp)\n\t"
	"movq %xmm5, 120(%rbp)\n\tmov -8(%rsp), %rax\n\tmov %rax, 128(%rbp)\n\t"
	"mov -128(%rsp), %rax\n\tmov %rax, 136(%rbp)\n\tadd $8, %rsp\n\t"
	"pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbx\n\tpop %rbp\n\tret\n");

static bool registers_kept(uint64_t *touch)
{
	uint64_t before[16], after[18];

	for (int i = 0; i < 16; i++)
		before[i] = 0x1111111111111111ULL * (uint64_t)i + 5;
	fault_probe(touch, before, after);
	for (int i = 1; i < 15; i++)
		if (after[i] != before[i])
			return false;
	return after[0] == ~0ULL && after[15] == before[11] && after[16] == before[13] &&
	       after[17] == before[12] && *touch == 77;
}

static void kept(void)
{
	static struct vm_region region = { .pager = vm_zero_pager, .flags = EXO_MAP_READ | EXO_MAP_WRITE };
	bool good = true;

	add(&region, 64);
	for (unsigned i = 0; i < 64; i++)
		good = good && registers_kept((uint64_t *)(region.start + (uint64_t)i * EXO_PAGE_SIZE));
	ok(good && region.faults == 64, "all registers, flags and the red zone are kept over a fault");
	vm_remove(&region);
}

/* --- exceptions ----------------------------------------------------------------------------------------- */

static CORE_UPCALL bool skip_ud2(struct exo_regs *regs)
{
	regs->rip += 2;
	regs->rax = regs->vector;
	return true;
}

static unsigned deferred_yields;

static void in_thread(void *arg, struct exo_regs *regs)
{
	/* Floating point, blocking, demand-paged memory: all of it is allowed here. */
	volatile double sum = 0;
	for (int i = 0; i < 10; i++)
		sum = sum + 0.5;
	thread_sleep(core_now() + CORE_SECOND / 1000);
	deferred_yields += *(unsigned *)arg + (sum == 5.0);
	regs->rip += 2;
}

static CORE_UPCALL bool defer_ud2(struct exo_regs *regs)
{
	static unsigned one = 1;

	return core_fault_defer(regs, in_thread, &one);
}

static void exceptions(void)
{
	uint64_t result = 0;
	volatile double kept_value = 1.25;
	double in_register = kept_value;

	ok(core_exception(6, skip_ud2) == NULL, "no handler at first");
	__asm__ volatile("ud2" : "=a"(result));
	ok(result == 6, "an illegal instruction reaches its handler and is resumed");
	ok(core_exception(6, defer_ud2) == skip_ud2, "another handler");
	__asm__ volatile("ud2" : "+x"(in_register) :: "memory");
	ok(deferred_yields == 2, "a handler may go on as the thread, and block");
	ok(in_register == 1.25, "and the FPU's registers are as they were");
	core_exception(6, NULL);
}

static int depth_reached;

static int deep(int depth)
{
	volatile char use[512];

	use[0] = (char)depth;
	depth_reached = depth;
	return depth ? deep(depth - 1) + use[0] : 0;
}

int main(void)
{
	ok(core_info->magic == EXO_INFO_MAGIC && core_begin->magic == EXO_START_MAGIC,
	   "the shared pages are there");
	demand_zero();
	own_pager();
	kept();
	exceptions();
	deep(300);
	ok(depth_reached == 0, "the stack grows by demand");
	ok(vm_add(&(struct vm_region){ .start = 0x1000, .end = 0x1000 }) == false,
	   "an empty region is refused");
	return tap_done();
}
