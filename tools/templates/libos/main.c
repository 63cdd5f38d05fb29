/* SPDX-License-Identifier: BSD-2-Clause */
/* A library operating system of one's own, with nothing below it but the kernel: see tutorial-libos.md. */
#include <exo/cap.h>
#include <exo/disp.h>
#include <exo/flow.h>
#include <exo/info.h>
#include <exo/space.h>
#include <exo/start.h>
#include "libos/core/stub.h"

#define DISP	((struct exo_disp *)EXO_VA_DISP)		/* what the kernel and we share */
#define START	((const struct exo_start *)EXO_VA_START)	/* what our creator gave us */
#define CAPS	((const struct exo_cap *)EXO_VA_CAPS)		/* what we hold */
#define STR_(x)	#x
#define STR(x)	STR_(x)

static char stack[8192] __attribute__((aligned(16), used));
extern char on_run[], on_fault[], resume[], resume_end[];

__asm__("	.section .note.exo, \"a\", @note\n"
	"	.balign 4\n	.long 4, 16, 1\n	.asciz \"Exo\"\n"
	"	.long " STR(EXO_ABI_MAJOR) ", " STR(EXO_ABI_MINOR) ", 0, 0\n"
	"	.text\n	.globl _start\n"
	"_start: lea stack + 8192(%rip), %rsp\n	call begin\n"
	"on_run: call run\n	jmp resume\n"
	"on_fault: call fault\n"
	"resume: mov $" STR(EXO_VA_DISP + EXO_DISP_ON) ", %esp\n"
	"	pop %rax\n	pop %rbx\n	pop %rcx\n	pop %rdx\n	pop %rsi\n	pop %rdi\n"
	"	pop %rbp\n	pop %r8\n	pop %r9\n	pop %r10\n	pop %r11\n	pop %r12\n"
	"	pop %r13\n	pop %r14\n	pop %r15\n	add $24, %rsp\n"
	"	movl $0, " STR(EXO_VA_DISP + EXO_DISP_OFF) "\n	iretq\n"
	"resume_end:\n");

static exo_cap_t named(const char *name)
{
	for (const struct exo_start_slot *slot = START->slot; slot < START->slot + START->slots; slot++)
		for (unsigned i = 0; slot->name[i] == name[i]; i++)
			if (!name[i])
				return slot->cap;
	return EXO_CAP_NONE;
}

static void say(const char *what, uint64_t number)
{
	char *line = (char *)EXO_VA_ARG + 128, *end = line, digits[20], *digit = digits;

	while (*what)
		*end++ = *what++;
	for (; digit == digits || number; number /= 10)
		*digit++ = (char)('0' + number % 10);
	while (digit > digits)
		*end++ = *--digit;
	*end++ = '\n';
	exo_console_write(named(EXO_NAME_CONSOLE), 128, (uint64_t)(end - line));
}

static exo_cap_t take(unsigned frames)
{
	unsigned slot = 1;

	while (CAPS[slot].type != EXO_TYPE_NONE)
		slot++;
	return (exo_cap_t)exo_frame_take(slot, EXO_PFN_ANY, frames);
}

static void map(uint64_t at, unsigned rights, exo_cap_t frames, uint32_t first, uint32_t count)
{
	*(struct exo_map *)EXO_VA_ARG = (struct exo_map){ at | rights, frames, first, count, 0 };
	if (exo_space_write(named(EXO_NAME_SPACE), 0, 1) != 1)
		exo_env_exit(EXO_CAUSE_EXIT, 1);
}

#define PAGES	24
#define FRAMES	8
#define ROUNDS	2000

static uint64_t table, faults;		/* where the pages are; how many faults there were */
static exo_cap_t memory;		/* the frames */
static uint64_t holds[FRAMES];		/* the address that each is mapped at */

/* The page-fault policy: which frame is given to the next page? */
static unsigned victim(void)
{
	return faults % FRAMES;		/* the one that has been there longest */
}

static void page_in(uint64_t at)
{
	unsigned frame = victim();

	if (holds[frame])
		map(holds[frame], 0, EXO_CAP_NONE, 0, 1);
	map(at, EXO_MAP_READ | EXO_MAP_WRITE, memory, frame, 1);
	for (uint64_t word = at; word < at + EXO_PAGE_SIZE; word += 8)
		*(uint64_t *)word = word - table;	/* a page that went is made again, not read back */
	holds[frame] = at;
	faults++;
}

static struct job {
	struct exo_regs regs;
	uint64_t slices;
	char stack[4096] __attribute__((aligned(16)));
} job[2];
static unsigned now;			/* the job that runs */
static volatile unsigned done;

/* The slice policy: which job gets the slice that begins? */
static unsigned next(void)
{
	return job[0].slices <= 3 * job[1].slices ? 0 : 1;	/* three for job 0, one for job 1 */
}

/* The slice, or what is left of it, goes to a job. */
static void pick(void)
{
	now = next();
	job[now].slices++;
	DISP->on = job[now].regs;
}

void __attribute__((used)) fault(uint64_t vector)
{
	uint64_t address = DISP->on.address;

	if (vector == 14 && address - table < PAGES * EXO_PAGE_SIZE) {
		page_in(address & -(uint64_t)EXO_PAGE_SIZE);
	} else if (vector == 6) {
		DISP->on.rip += 2;	/* behind the UD2 */
		job[now].regs = DISP->on;
		pick();
	} else {
		exo_env_exit(vector, address);
	}
}

#define SLOTS	8			/* packets that can be under way */

static exo_cap_t flow;
static struct exo_ring *ring;		/* its frame, and behind it the packets */
static uint32_t taken, given;

static void swap(uint8_t *a, uint8_t *b, unsigned bytes)
{
	for (uint8_t c; bytes--; *a++ = *b, *b++ = c)
		c = *a;
}

static void echo(void)
{
	for (; taken != ring->rx_head; taken++) {
		struct exo_rx *rx = &ring->rx[taken % SLOTS];
		uint32_t place = EXO_PAGE_SIZE + rx->slot * EXO_RX_SLOT_BYTES;
		uint8_t *packet = (uint8_t *)ring + place;

		swap(packet, packet + 6, 6);		/* Ethernet: to and from */
		swap(packet + 26, packet + 30, 4);	/* IPv4: from and to */
		swap(packet + 34, packet + 36, 2);	/* UDP: from and to */
		ring->tx[ring->tx_head++ % EXO_TX_SLOTS] = (struct exo_tx){ place, rx->bytes, 0 };
	}
	exo_flow_kick(flow);
	for (; given != ring->tx_done; given++)
		ring->rx_free[ring->rx_posted++ % SLOTS] = ring->rx[given % SLOTS].slot;
}

static void listen(uint64_t at)
{
	exo_cap_t frames = take(1 + SLOTS / 2);

	map(at, EXO_MAP_READ | EXO_MAP_WRITE, frames, 0, 1 + SLOTS / 2);
	ring = (struct exo_ring *)at;
	ring->rx_frames = SLOTS / 2;
	while (ring->rx_posted < SLOTS)
		ring->rx_free[ring->rx_posted] = (uint16_t)ring->rx_posted, ring->rx_posted++;
	exo_flow_bind(flow, frames, 0, frames, 0, 1 + SLOTS / 2);
}

void __attribute__((used)) run(void)
{
	if (DISP->saved & EXO_SAVED_ON)
		job[now].regs = DISP->on;
	DISP->saved = 0;
	for (;;) {
		uint64_t events = __atomic_load_n(&DISP->events, __ATOMIC_ACQUIRE);
		if (flow)
			echo();
		if (!done)
			break;
		if (!flow)
			exo_env_exit(EXO_CAUSE_EXIT, 0);
		exo_sleep(EXO_NEVER, events, EXO_CAP_NONE);
	}
	pick();
}

static void walk(void)			/* job 0: over the table, again and again */
{
	uint64_t sum = 0;

	for (uint64_t at = table; at < table + ROUNDS * PAGES * EXO_PAGE_SIZE; at += 64)
		sum += *(volatile uint64_t *)(table + (at - table) % (PAGES * EXO_PAGE_SIZE));
	say("the sum is ", sum);
	say("page faults: ", faults);
	say("slices of job 0: ", job[0].slices);
	say("slices of job 1: ", job[1].slices);
	done = 1;
	exo_yield(EXO_CAP_NONE, 0);
}

static void spin(void)			/* job 1: takes much time, then lets the other go on */
{
	for (;;) {
		for (volatile unsigned i = 0; i < 10000000; i++)
			;
		__asm__ volatile("ud2");
	}
}

static void job_make(struct job *it, void (*start)(void))
{
	it->regs.rip = (uint64_t)start;
	it->regs.rsp = (uint64_t)(it->stack + sizeof(it->stack) - 8);
	it->regs.rflags = 0x202;
	__asm__("mov %%cs, %0; mov %%ss, %1" : "=r"(it->regs.cs), "=r"(it->regs.ss));
}

void __attribute__((used)) begin(void)
{
	static const unsigned level[] = { EXO_LEVEL_512G, EXO_LEVEL_1G, EXO_LEVEL_PAGES };
	exo_cap_t tables = take(5);

	DISP->upcall_sp = (uint64_t)(stack + sizeof(stack));
	DISP->run_entry = (uint64_t)on_run;
	DISP->fault_entry = (uint64_t)on_fault;
	DISP->critical = (uint64_t)resume;
	DISP->critical_end = (uint64_t)resume_end;
	table = START->heap;
	for (unsigned i = 0; i < 3; i++)
		exo_space_table(named(EXO_NAME_SPACE), table, level[i], tables, i);
	memory = take(FRAMES);
	flow = named("udp/7");
	if (flow)
		listen(table + PAGES * EXO_PAGE_SIZE);
	job_make(&job[0], walk);
	job_make(&job[1], spin);
}
