/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monotonic clock: the time-stamp counter, scaled by what a counter of known rate says.
 *
 * The reference is the hypervisor's word for the TSC's rate, else the HPET (it says its period), the ACPI PM
 * timer, or the PIT. There is no calibration: the first pair of readings is taken at boot, further ones when
 * the time is read anyway, at intervals that double up to REFINE_NS. Each reading starts a new piece of a
 * line that continues the old one, so time never jumps: its slope is the rate between now and a reading long
 * ago, plus what takes the line back to the reference within the next interval. A reference that wraps is
 * told apart by the line itself; if that has become too uncertain (a long sleep on a PIT), or the first two readings lie
 * so far apart that it may have wrapped between them, the reading only begins a new pair.
 *
 * Every CPU has a copy of the piece in use and reads that without a lock, until the TSC reaches `refine_at`;
 * then it takes the lock, and the first to come makes the next piece for all. No copy is used beyond the TSC
 * at which its piece may have been replaced, and the next one begins where that one had come to. So time is
 * one function of the TSC, and runs back neither on one CPU nor for who moves, as long as the TSCs agree
 * (cpus.c).
 *
 * T1 the line never falls: a reading of the TSC before the current piece counts as its beginning
 * T2 info->clock always has the piece in use; user code reads it under its sequence number, which is odd from
 *    before the next piece begins
 */
#include "arch/x86_64/port.h"

#define ONE		(1ULL << 32)
#define REFINE_NS	1000000000ULL
#define BASELINE_NS	16000000000ULL	/* the rate is taken over at least this, once so much has passed */
#define FIRST_TICKS	16		/* of the reference, before its rate is believed ... */
#define FIRST_TSC	(1ULL << 25)	/* ... and at most so many of the TSC: fewer than a PIT's round takes */
#define SLEW_LIMIT	8		/* at most 1/8 faster or slower */

#define HYPERVISOR_BIT	(1u << 31)
#define HYPERVISOR_LEAF	0x40000000
#define TSC_LEAF	0x40000010

#define HPET_PERIOD	0x004
#define HPET_ENABLE	0x010
#define HPET_COUNTER	0x0f0
#define HPET_64		0x2000		/* in the word before the period */
#define HPET_PERIOD_MAX	100000000	/* femtoseconds */
#define PIT_COMMAND	0x43
#define PIT_COUNTER	0x40

struct pair {
	uint64_t tsc, ns;		/* ns: of the reference, since the first pair */
};

static struct {
	const char *name;
	uint64_t (*read)(void);
	uint64_t mask;			/* bits that it counts in */
	uint64_t tick;			/* nanoseconds, 32.32 */
	uint64_t raw, ticks;		/* last reading; ticks since the first */
	volatile uint8_t *hpet;
} ref;

static struct spinlock clock_lock;	/* for all here */
static struct {
	struct clock_piece piece;	/* in use */
	uint64_t first_tsc;
	uint32_t error_ppm;
	struct pair older, old, last;
	unsigned clock_tries;		/* left for the battery clock */
} line = { .piece.scale = ONE, .clock_tries = 8 };

/* --- references ----------------------------------------------------------------------------------------------------- */

static uint64_t hpet_read(void)
{
	if (ref.mask == ~0ULL)
		return *(volatile uint64_t *)(ref.hpet + HPET_COUNTER);
	return *(volatile uint32_t *)(ref.hpet + HPET_COUNTER);
}

static uint64_t pm_read(void)
{
	return inl(machine.pm_timer) & ref.mask;
}

static uint64_t pit_read(void)
{
	unsigned count;

	outb(PIT_COMMAND, 0x00);		/* latch counter 0 */
	count = inb(PIT_COUNTER);
	count |= (unsigned)inb(PIT_COUNTER) << 8;
	return -count & 0xffff;			/* it counts down */
}

static bool hpet_start(void)
{
	uint32_t period;

	if (!machine.hpet)
		return false;
	ref.hpet = arch_map_device(machine.hpet, 0x400);
	period = *(volatile uint32_t *)(ref.hpet + HPET_PERIOD);
	if (period == 0 || period > HPET_PERIOD_MAX)
		return false;
	*(volatile uint32_t *)(ref.hpet + HPET_ENABLE) |= 1;
	ref.mask = *(volatile uint32_t *)ref.hpet & HPET_64 ? ~0ULL : 0xffffffff;
	ref.tick = mul_div(period, ONE, 1000000);
	ref.name = "hpet";
	ref.read = hpet_read;
	return true;
}

static bool pm_start(void)
{
	if (!machine.pm_timer || inl(machine.pm_timer) == ~0u)
		return false;
	ref.mask = machine.pm_timer_32 ? 0xffffffff : 0xffffff;
	ref.tick = mul_div(1000000000, ONE, 3579545);
	ref.name = "pmtimer";
	ref.read = pm_read;
	return true;
}

static bool pit_start(void)
{
	outb(PIT_COMMAND, 0x34);		/* counter 0, both bytes, rate generator */
	outb(PIT_COUNTER, 0);
	outb(PIT_COUNTER, 0);
	outb(PIT_COMMAND, 0xe2);		/* read its status back */
	if ((inb(PIT_COUNTER) & 0x3f) != 0x34)
		return false;
	ref.mask = 0xffff;
	ref.tick = mul_div(1000000000, ONE, 1193182);
	ref.name = "pit";
	ref.read = pit_read;
	return true;
}

/* The rate itself, as VMware began it and others followed. */
static bool hypervisor_start(void)
{
	uint32_t khz;

	if (!(cpuid(1).ecx & HYPERVISOR_BIT) || cpuid(HYPERVISOR_LEAF).eax < TSC_LEAF ||
	    cpuid(HYPERVISOR_LEAF).eax > TSC_LEAF + 0xff)
		return false;
	khz = cpuid(TSC_LEAF).eax;
	if (khz < 1000)
		return false;
	line.piece.scale = mul_div(1000000, ONE, khz);
	line.piece.refine_at = ~0ULL;
	line.error_ppm = 1;
	ref.name = "hypervisor";
	return true;
}

/* Both counters at one moment: the narrower of two tries. Returns the raw value. */
static uint64_t read_both(uint64_t *tsc, uint64_t *width)
{
	uint64_t before, after, raw, best = 0;
	unsigned tries;

	*width = ~0ULL;
	for (tries = 0; tries < 2; tries++) {
		before = rdtsc();
		raw = ref.read();
		after = rdtsc();
		if (after - before < *width) {
			*width = after - before;
			*tsc = before + (after - before) / 2;
			best = raw;
		}
	}
	return best;
}

/* --- the battery clock ------------------------------------------------------------------------------------------------ */

static unsigned rtc_byte(unsigned index, bool binary)
{
	unsigned value;

	outb(0x70, (uint8_t)index);
	value = inb(0x71);
	return binary ? value : (value >> 4) * 10 + (value & 15);
}

/* Days from 1970 to a date; the year begins in March, so that a leap day is its last. */
static uint64_t days(unsigned year, unsigned month, unsigned day)
{
	unsigned y = month > 2 ? year : year - 1, m = (month + 9) % 12;

	return 365ULL * y + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

/* Set wall_s, if the clock is there and not being updated just now; else some later time. */
static void rtc_read(uint64_t now)
{
	unsigned status, second, minute, hour, day, month, year, century = 20;
	bool binary;

	line.clock_tries--;
	if (rtc_byte(0x0a, true) & 0x80)
		return;
	status = rtc_byte(0x0b, true);
	binary = status & 4;
	second = rtc_byte(0, binary);
	minute = rtc_byte(2, binary);
	hour = rtc_byte(4, true);
	day = rtc_byte(7, binary);
	month = rtc_byte(8, binary);
	year = rtc_byte(9, binary);
	if (machine.century)
		century = rtc_byte(machine.century, binary);
	if (!(status & 2) && (hour & 0x80))
		hour = ((binary ? hour & 0x7f : (hour >> 4 & 1) * 10 + (hour & 15)) % 12) + 12;
	else
		hour = (binary ? hour : (hour >> 4) * 10 + (hour & 15)) % (status & 2 ? 24 : 12);
	if (second > 59 || minute > 59 || day < 1 || day > 31 || month < 1 || month > 12 || year > 99 ||
	    century < 19 || century > 21) {
		line.clock_tries = 0;
		return;
	}
	info->clock.wall_s = ((days(century * 100 + year, month, day) * 24 + hour) * 60 + minute) * 60 + second -
	    now / 1000000000;
}

/* --- the line -------------------------------------------------------------------------------------------------------- */

static inline __attribute__((always_inline)) uint64_t piece_at(const struct clock_piece *piece, uint64_t tsc)
{
	uint64_t delta = tsc - piece->tsc;

	return (int64_t)delta < 0 ? piece->ns : piece->ns + mul_shift_32(delta, piece->scale);
}

/* Ticks of the reference since the last reading; false: it may have wrapped any number of times. */
static bool ticks_since(uint64_t raw, uint64_t tsc, uint64_t *ticks)
{
	uint64_t wrap = ref.mask + 1, passed, expected;

	*ticks = (raw - ref.raw) & ref.mask;
	if (wrap == 0 || line.error_ppm == 0)
		return true;
	passed = mul_shift_32(tsc - line.last.tsc, line.piece.scale);
	expected = mul_div(passed, ONE, ref.tick);
	if (mul_div(expected, line.error_ppm, 1000000) > wrap / 4) {
		*ticks = expected;
		return false;
	}
	if (expected > *ticks)
		*ticks += (expected - *ticks + wrap / 2) / wrap * wrap;
	return true;
}

/* Slope of the next piece: the rate, and the way back to the reference. `passed` since the first pair. */
static uint64_t slope(const struct pair *now, uint64_t at, uint64_t passed, uint64_t since)
{
	uint64_t rate = mul_div(now->ns - line.older.ns, ONE, now->tsc - line.older.tsc);
	uint64_t horizon = passed < REFINE_NS ? passed : REFINE_NS, off;
	bool behind = now->ns > at;

	if (since > horizon)
		horizon = since;
	off = behind ? now->ns - at : at - now->ns;
	if (off > horizon / SLEW_LIMIT)
		off = horizon / SLEW_LIMIT;
	off = mul_div(rate, off, horizon);
	return behind ? rate + off : rate - off;
}

/* Make the next piece; false: it is too early. */
static bool refine(void)
{
	uint64_t tsc, width, raw = read_both(&tsc, &width), ticks, at, since, passed;
	struct pair now;
	bool known = ticks_since(raw, tsc, &ticks);

	at = piece_at(&line.piece, tsc);
	if (!line.error_ppm && (ticks < FIRST_TICKS || tsc - line.last.tsc > FIRST_TSC)) {
		if (ticks >= FIRST_TICKS) {	/* a reference that wraps may have done so: the first pair begins here */
			ref.raw = raw;
			ref.ticks = mul_div(at, ONE, ref.tick);
			line.older = line.old = line.last = (struct pair){ tsc, at };
		}
		line.piece.refine_at = tsc + 1000;
		return false;
	}
	ref.raw = raw;
	ref.ticks += ticks;
	now = (struct pair){ tsc, mul_shift_32(ref.ticks, ref.tick) };
	since = now.ns - line.last.ns;
	passed = now.ns;
	if (known) {
		line.piece.scale = slope(&now, at, passed, since);
		since = now.ns - line.older.ns;
		width = 2 * (ref.tick >> 32) + mul_shift_32(width, line.piece.scale) + 1;
		line.error_ppm = (uint32_t)mul_div(width, 1000000, since) + 1;
	}
	line.piece.tsc = tsc;
	line.piece.ns = at;
	if (!known || now.ns - line.old.ns >= BASELINE_NS) {
		line.older = known ? line.old : now;
		line.old = now;
	}
	line.last = now;
	passed = tsc - line.first_tsc;
	since = mul_div(REFINE_NS, ONE, line.piece.scale);
	line.piece.refine_at = tsc + (passed < since ? passed : since);
	timer_learn(line.piece.scale);
	return true;
}

static void publish(void)
{
	struct exo_clock *clock = &info->clock;

	clock->counter = line.piece.tsc;
	clock->ns = line.piece.ns;
	clock->scale = line.piece.scale;
	clock->error_ppm = line.error_ppm;
	if (!clock->wall_s && line.clock_tries)
		rtc_read(line.piece.ns);
}

/* This CPU's piece has come to its end, or it has none yet. */
static out_of_line exo_time_t now_renewed(struct clock_piece *piece)
{
	uint32_t *sequence = &info->clock.sequence;

	spin_lock(&clock_lock);
	if (rdtsc() >= line.piece.refine_at) {
		write_once(*sequence, *sequence + 1);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (refine())
			publish();
		__atomic_store_n(sequence, *sequence + 1, __ATOMIC_RELEASE);
	}
	*piece = line.piece;
	spin_unlock(&clock_lock);
	return piece_at(piece, rdtsc());
}

exo_time_t arch_now(void)
{
	struct clock_piece *piece = &this_cpu()->clock;
	uint64_t tsc = rdtsc();

	return unlikely(tsc >= piece->refine_at) ? now_renewed(piece) : piece_at(piece, tsc);
}

void clock_leave_calendar(void)
{
	line.clock_tries = 0;
}

void clock_start(void)
{
	uint64_t width;

	if (hypervisor_start()) {
		line.piece.tsc = rdtsc();
		publish();
	} else {
		if (!hpet_start() && !pm_start() && !pit_start())
			boot_fail("no clock of known rate: neither HPET, ACPI PM timer, PIT nor hypervisor");
		ref.raw = read_both(&line.piece.tsc, &width);
		line.last.tsc = line.old.tsc = line.older.tsc = line.first_tsc = line.piece.tsc;
	}
	for (width = 0; ref.name[width]; width++)
		info->clock.source[width] = ref.name[width];
}
