/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port and interrupt on the machine: each error, what the kernel or a dangerous device has, a real device's interrupts
 * (the clock's), their storm, owners that end; and video memory: only ever uncached, never executable, and nothing else
 * that frames can be. Runs first: yes
 * Run with: --machine pc --qemu-arg=-serial --qemu-arg=null
 */
#include "libos/dev/dev.h"
#include "test/guest/family.h"

#define BOTH	(EXO_RIGHT_READ | EXO_RIGHT_WRITE)
enum { STEP, RESULT };

static exo_cap_t ports, lines;

static _Noreturn void owner(void)
{
	family_word[RESULT] = (uint64_t)exo_interrupt(core_named("irq"), 8);
	family_word[STEP] = 1;
	for (;;)
		core_sleep(EXO_NEVER, core_disp->events);
}

static void refused(void)
{
	/* DMA, interrupt controllers, timer, keyboard and reset, DMA pages, exit, disk, firmware, first serial port, PCI. */
	static const uint16_t closed[] = { 0x00, 0x0f, 0x20, 0x21, 0x40, 0x43, 0x60, 0x61, 0x64, 0x6f, 0x72, 0x80, 0x87, 0x92,
		0xa0, 0xa1, 0xb2, 0xc0, 0xde, 0xe9, 0xf4, 0x1f0, 0x1f7, 0x3f0, 0x3f6, 0x3f8, 0x3ff, 0x4d0, 0x510, 0x514, 0x600,
		0x604, 0xcf8, 0xcf9, 0xcfc, 0xcff, 0xb004, 0xffff };
	unsigned busy = 0, open = 0;

	for (unsigned i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
		int64_t in = exo_port(ports, closed[i], 1, 0), out = exo_port(ports, closed[i], 1 | EXO_PORT_WRITE, 0xff);
		if (in == -EXO_EBUSY && out == -EXO_EBUSY)
			busy++;
		else
			printf("# port %x: %ld, %ld\n", closed[i], (long)in, (long)out);
	}
	is(busy, sizeof(closed) / sizeof(closed[0]), "BUSY for ports of the kernel's and of what can do harm");
	is(exo_port(ports, 0x3f7, 2, 0), -EXO_EBUSY, "BUSY: a word that reaches into the first serial port");
	is(exo_port(ports, 0x6f, 2, 0), -EXO_EBUSY, "BUSY: or out of the clock");
	is(exo_port(ports, 0x71, 4, 0), -EXO_EBUSY, "BUSY: behind it");
	for (uint64_t port = 0; port < 0x10000; port++)
		open += exo_port(ports, port, 1, 0) >= 0;
	ok(open > 20 && open < 120, "%u ports in all are open", open);
	for (unsigned line = 0; line < EXO_LINES; line++)
		if (line == 0 || line == 2 || line == 4 || line == 9 || line == 13)
			is(exo_interrupt(lines, line), -EXO_EBUSY, "BUSY: line %u", line);
	is(exo_interrupt(lines, EXO_LINES), -EXO_ERANGE, "RANGE: line");
	is(exo_interrupt(lines, ~0ULL), -EXO_ERANGE, "RANGE: line");
	is(exo_interrupt(ports, 8), -EXO_ETYPE, "TYPE");
	is(exo_interrupt(NO_CAP, 8), -EXO_ECAP, "CAP");
	is(exo_port(lines, 0x70, 1, 0), -EXO_ETYPE, "TYPE");
	is(exo_port(ports, 0x70, 5, 0), -EXO_EINVAL, "INVAL");
	is(exo_port(ports, 0x10000, 1, 0), -EXO_ERANGE, "RANGE: port");
}

/* The clock's, as a driver takes them; a busy host lets some of them fall together. */
static void interrupts(void)
{
	exo_cap_t own = (exo_cap_t)caps_derive(lines, EXO_RIGHT_BIND, 8, 1);
	struct dev rtc = { .ports = ports, .interrupts = own, .base = 0x70, .line = 8 };
	struct rtc_date date;
	unsigned seen = 0, cut = 0;

	rtc_read(&rtc, &date);
	ok(date.year >= 2020 && date.month - 1u < 12 && date.day - 1u < 31 && date.hour < 24 && date.minute < 60 &&
	    date.second < 60, "the clock shows %u-%02u-%02u", date.year, date.month, date.day);
	is(rtc_every(&rtc, 64), 0, "64 interrupts a second");
	for (exo_time_t end = core_now() + 500 * MS; core_now() < end; ) {
		uint64_t events = core_disp->events;
		if (__atomic_exchange_n(&core_disp->interrupts, 0, __ATOMIC_ACQUIRE)) {
			seen++;
			cut += exo_interrupt(own, 8) == -EXO_EAGAIN;
			exo_port(ports, 0x70, 1 | EXO_PORT_WRITE, 12);
			exo_port(ports, 0x71, 1, 0);
		} else
			core_sleep(end, events);
	}
	ok(seen > 3 && seen < 60 && !cut, "%u in half a second", seen);
	rtc_every(&rtc, 0);
	caps_delete(own);
}

/* The second serial port interrupts whenever it is told that it may when it can send. */
static void storm(void)
{
	uint32_t before = core_info->interrupts_cut;
	unsigned seen = 0, again = 0, lost = 0;
	exo_time_t start;

	is(exo_interrupt(lines, 3), 0, "the second serial port's line");
	exo_port(ports, 0x2fc, 1 | EXO_PORT_WRITE, 0x08);
	core_sleep(core_now() + 2 * EXO_STORM_NS, core_disp->events);
	(void)__atomic_exchange_n(&core_disp->interrupts, 0, __ATOMIC_ACQUIRE);
	start = core_now();
	while (core_now() < start + 10 * EXO_STORM_NS) {
		int64_t result = exo_interrupt(lines, 3);
		if (result == -EXO_EAGAIN) {
			again++;
			core_sleep(core_now() + MS, core_disp->events);
			continue;
		}
		exo_port(ports, 0x2f9, 1 | EXO_PORT_WRITE, 0);
		exo_port(ports, 0x2f9, 1 | EXO_PORT_WRITE, 2);
		for (unsigned i = 0; i < 1000 && !*(volatile uint64_t *)&core_disp->interrupts; i++)
			;
		if (__atomic_exchange_n(&core_disp->interrupts, 0, __ATOMIC_ACQUIRE))
			seen++;
		else
			lost++;
	}
	exo_port(ports, 0x2f9, 1 | EXO_PORT_WRITE, 0);
	ok(seen > 10 && seen <= 12 * EXO_STORM_MAX, "a storm: %u interrupts in 100 ms (%u not)", seen, lost);
	/* A slow machine may be too slow for a storm. */
	ok((again >= 3 && core_info->interrupts_cut - before >= 3) || seen < 8 * EXO_STORM_MAX, "it is cut %u times", core_info->interrupts_cut - before);
}

static void owners(void)
{
	struct books before = books_now();
	struct member member = { 0 };
	exo_cap_t own, lent = (exo_cap_t)caps_derive(lines, EXO_RIGHT_BIND, 8, 1);

	own = (exo_cap_t)caps_derive(lines, EXO_RIGHT_BIND, 8, 1);
	is(exo_interrupt(own, 8), 0, "the line is the test's");
	is(exo_interrupt(own, 7), -EXO_ERANGE, "RANGE: another line than the capability's");
	for (unsigned round = 0; round < 2; round++) {
		family_word[STEP] = 0;
		family_grant(&member, "page", family_page, BOTH, 1);
		family_grant(&member, "irq", lent, EXO_RIGHT_BIND, 1);
		ok(family_make(&member, "owner", NULL) && spawn_start(&member.spawn) >= 0 && family_await_word(STEP, 1, 5000) &&
		    family_word[RESULT] == (round ? 0 : (uint64_t)-EXO_EBUSY), round ? "it is another's" : "BUSY for another");
		if (round) {
			is(exo_interrupt(lines, 8), -EXO_EBUSY, "BUSY for the test");
			while (exo_cap_revoke(lent) == -EXO_EAGAIN)
				;
			is(exo_interrupt(lines, 8), 0, "revoked: it is the test's");
		}
		family_drop(&member);
		if (!round)
			caps_delete(own);
	}
	caps_delete(lent);
	ok(books_same(before), "the books are even");
}

static void video(void)
{
	exo_cap_t all = core_named(EXO_NAME_VIDEO), some;
	exo_vaddr_t va = vm_addresses(2 * EXO_PAGE_SIZE);
	exo_cap_t space = core_named(EXO_NAME_SPACE);
	uint32_t slot = caps_slot();
	int64_t result;
	uint64_t old;

	if (!ok(all && info_frame(pfn_of(all))->state == EXO_FRAME_DEVICE, "video memory"))
		return;
	some = (exo_cap_t)caps_derive(all, BOTH, 0x18, 2);
	is(caps_derive(all, BOTH | EXO_RIGHT_EXEC, 0, 1), -EXO_ERIGHTS, "RIGHTS: nobody may execute it");
	is(space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, some, 0, 2), 0, "mapped, two pages at once");
	*(volatile uint32_t *)va = 1;
	for (unsigned i = 0; i < 2; i++) {
		result = write_one(space, (va + i * EXO_PAGE_SIZE) | EXO_MAP_READ, some, i, 1);
		old = ((struct exo_map *)core_arg(0))->old;
		is(result, 1, "mapped again, to read");
		ok((old & EXO_PTE_UNCACHED) == EXO_PTE_UNCACHED && old & EXO_PTE_WRITE && !(old & EXO_PTE_MAY_EXEC),
		    "it was uncached, and can never be executed");
	}
	is(write_one(space, va | EXO_MAP_READ | EXO_MAP_EXEC, some, 0, 1), -EXO_ERIGHTS, "not by its capability");
	is(write_one(space, va | EXO_MAP_READ | EXO_MAP_EXEC, 0, 0, 1), -EXO_ERIGHTS, "nor by raising its rights");
	is(write_one(space, va | EXO_MAP_READ | EXO_MAP_WRITE, 0, 0, 1), 1, "to write, yes");
	is(exo_env_read(core_named(EXO_NAME_ENV), va, 64, 8), -EXO_ERANGE, "env_read RANGE");
	is(exo_env_write(core_named(EXO_NAME_ENV), va, 64, 8), -EXO_ERANGE, "env_write RANGE");
	result = write_one(space, va, 0, 0, 2);
	old = ((struct exo_map *)core_arg(0))->old;
	is(result, 1, "unmapped");
	ok((old & EXO_PTE_UNCACHED) == EXO_PTE_UNCACHED, "it was uncached to the end");
	is(exo_frame_give(some, 1), -EXO_EBUSY, "it is not given away as memory");
	is(exo_space_create(slot, some, 0), -EXO_EBUSY, "nor a page table");
	is(exo_cap_table(some, 0), -EXO_EBUSY, "nor a table of capabilities");
	is(exo_trace(0, some, 0, 1, 1), -EXO_EBUSY, "nor a ring");
	ok(exo_frame_reclaim(some, 0, 1) < 0, "nor taken apart");
	is(exo_frame_take(slot, pfn_of(all), 1), -EXO_EBUSY, "nor taken");
	caps_delete(some);
	is(info_frame(pfn_of(all))->state, EXO_FRAME_DEVICE, "it is what it was");
	is(info_frame(pfn_of(all))->holds, 1, "and held once");
	ok(frames_consistent(), "the books are even");
}

int main(void)
{
	if (family_begin())
		owner();
	ports = core_named(EXO_NAME_PORTS);
	lines = core_named(EXO_NAME_INTERRUPTS);
	refused();
	interrupts();
	storm();
	owners();
	video();
	return call_done();
}
