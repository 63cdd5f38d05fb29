/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts: the CPUs' local controllers with their timers, the I/O controllers, and who handles which
 * vector (AMD64 Architecture Programmer's Manual 2, chapter 16; Intel 82093AA).
 *
 * The legacy controllers are masked for good. Device vectors are given out in order at boot, and go to the
 * CPU that booted. The timer counts down once, at most TIMER_MAX at a stretch; an interrupt that is early, by
 * that limit or because the rate is not known exactly yet, sets it again and tells nobody. An interrupt that
 * comes in nobody's name is acknowledged and counted. All local controllers lie at the same address and count
 * at the same rate.
 */
#include "arch/x86_64/port.h"

#define LAPIC_ID	0x020
#define LAPIC_TASK	0x080
#define LAPIC_EOI	0x0b0
#define LAPIC_SPURIOUS	0x0f0
#define LAPIC_ICR	0x300
#define LAPIC_ICR_TO	0x310
#define LAPIC_LVT_TIMER	0x320
#define LAPIC_LVT_INT0	0x350
#define LAPIC_LVT_INT1	0x360
#define LAPIC_LVT_ERROR	0x370
#define LAPIC_INITIAL	0x380
#define LAPIC_CURRENT	0x390
#define LAPIC_DIVIDE	0x3e0

#define LVT_MASKED	0x10000
#define LVT_NMI		0x00400
#define ICR_PENDING	0x01000
#define ICR_NMI		0x04400
#define ICR_SELF	0x40000
#define ICR_OTHERS	0xc0000
#define BASE_ENABLE	0x800
#define BASE_X2		0x400
#define LAPIC_BYTES	0x1000

#define IOAPIC_DEFAULT	0xfec00000
#define IOAPIC_VERSION	0x01
#define IOAPIC_PIN(n)	(0x10 + 2 * (n))
#define PIN_MASKED	0x10000
#define PIN_LEVEL	0x08000
#define PIN_LOW		0x02000

#define LINES_SHUT	(1U << 0 | 1U << 2 | 1U << 9 | 1U << 13)	/* timer, cascade, ACPI, FPU */

#define TIMER_MAX_NS	2000000000ULL
#define TICKS_MAX	0xffffffffULL

struct irq {
	arch_irq_handler handler;
	void *arg;
};

static volatile uint32_t *lapic;
bool apic_stopping;
static struct irq irqs[VECTOR_END - VECTOR_DEVICE];
static unsigned irqs_used;
static arch_irq_handler pin_owner[EXO_LINES];	/* whose each line is; NULL: nobody's */
/* Ticks per nanosecond and per tick of the TSC, 32.32, and over how many that was found: by clock.c's lock. */
static uint64_t timer_per_ns = 1ULL << 32, timer_per_tsc = 1ULL << 32, timer_learnt;

static inline uint32_t lapic_read(unsigned offset)
{
	return lapic[offset / 4];
}

static inline void lapic_write(unsigned offset, uint32_t value)
{
	lapic[offset / 4] = value;
}

/* --- timer -------------------------------------------------------------------------------------------------------- */

static void timer_program(struct apic_timer *timer, exo_time_t now)
{
	uint64_t ns = timer->when > now ? timer->when - now : 0, ticks;

	ticks = mul_shift_32(ns < TIMER_MAX_NS ? ns : TIMER_MAX_NS, read_once(timer_per_ns)) + 1;
	timer->count = ticks < TICKS_MAX ? (uint32_t)ticks : (uint32_t)TICKS_MAX;
	lapic_write(LAPIC_INITIAL, timer->count);
	timer->tsc = rdtsc();
}

void arch_timer_set(exo_time_t when)
{
	struct apic_timer *timer = &this_cpu()->timer;

	if (when == timer->when)
		return;
	timer->when = when;
	if (when == EXO_NEVER)
		lapic_write(LAPIC_INITIAL, 0);
	else
		timer_program(timer, arch_now());
}

/* The clock's rate is known better now; a timer that has run for long tells its own beside the TSC's. */
void timer_learn(uint64_t ns_per_tsc)
{
	const struct apic_timer *timer = &this_cpu()->timer;
	uint32_t left = lapic_read(LAPIC_CURRENT);
	uint64_t passed = rdtsc() - timer->tsc;

	if (left && passed > timer_learnt) {
		timer_learnt = passed;
		timer_per_tsc = mul_div(timer->count - left, 1ULL << 32, passed);
	}
	write_once(timer_per_ns, mul_div(timer_per_tsc, 1ULL << 32, ns_per_tsc));
}

static out_of_line void timer_interrupt(void)
{
	struct apic_timer *timer = &this_cpu()->timer;
	exo_time_t now = arch_now();

	if (timer->when == EXO_NEVER)
		return;
	if (now < timer->when) {
		timer_program(timer, now);
		return;
	}
	timer->when = EXO_NEVER;
	cpu_timer();
}

/* --- other CPUs ------------------------------------------------------------------------------------------ */

/* An interrupt to CPUs; one at a time is on its way. */
static void icr_write(uint32_t to, uint32_t what)
{
	while (lapic_read(LAPIC_ICR) & ICR_PENDING)
		arch_pause();
	lapic_write(LAPIC_ICR_TO, to << 24);
	lapic_write(LAPIC_ICR, what);
}

void apic_send(uint32_t id, uint32_t what)
{
	icr_write(id, what);
}

void arch_cpu_interrupt(unsigned index)
{
	icr_write(machine.cpu_id[index], VECTOR_ASK);
}

void apic_stop_others(void)
{
	apic_stopping = true;
	if (lapic && machine.cpus > 1)
		icr_write(0, ICR_OTHERS | ICR_NMI);
}

/* --- devices -------------------------------------------------------------------------------------------------------- */

/* Called by the entry code. `frame` is what was interrupted; NULL: arch_idle. True: it goes on. */
bool interrupt(uint64_t vector, struct arch_frame *frame)
{
	const struct irq *irq;
	bool goes_on = false;

	cpu_self()->info->interrupts++;
	if (!frame)	/* before a handler finds any name (smp_quiet) */
		__atomic_store_n(&cpu_self()->idle, false, __ATOMIC_SEQ_CST);
	if (likely(vector >= VECTOR_DEVICE)) {
		irq = &irqs[vector - VECTOR_DEVICE];
		if (irq->handler)
			irq->handler(irq->arg);
		lapic_write(LAPIC_EOI, 0);
		goes_on = cpu_goes_on();
	} else {
		lapic_write(LAPIC_EOI, 0);
		if (vector == VECTOR_ASK)
			cpu_serve(frame);
		else
			timer_interrupt();
	}
	/* What user mode cannot be (entry.S). If it has gone away meanwhile, its flags will be masked. */
	if (frame && unlikely(frame->rflags & (RFLAGS_VM | RFLAGS_IOPL)) && current_env())
		cpu_exception(frame, VECTOR_PROTECTION, 0, 0);
	return goes_on;
}

/* A vector for a handler; 0: none is left. */
static unsigned irq_take(arch_irq_handler handler, void *arg)
{
	if (irqs_used == COUNT_OF(irqs))
		return 0;
	irqs[irqs_used] = (struct irq){ handler, arg };
	return VECTOR_DEVICE + irqs_used++;
}

bool arch_irq_msi(arch_irq_handler handler, void *arg, unsigned cpu, uint64_t *address, uint32_t *data)
{
	unsigned vector = irq_take(handler, arg);

	*address = 0xfee00000 | machine.cpu_id[cpu] << 12;
	*data = vector;
	return vector != 0;
}

void arch_irq_again(uint32_t data)
{
	icr_write(0, ICR_SELF | (data & 0xff));
}

static uint32_t ioapic_read(unsigned i, unsigned reg)
{
	machine.ioapic[i].window[0] = reg;
	return machine.ioapic[i].window[4];
}

static void ioapic_write(unsigned i, unsigned reg, uint32_t value)
{
	machine.ioapic[i].window[0] = reg;
	machine.ioapic[i].window[4] = value;
}

/* Which controller a line goes to, and its pin there; -1: none. */
static int pin_of(unsigned gsi, unsigned *pin)
{
	unsigned i;

	for (i = 0; i < machine.ioapics; i++) {
		*pin = gsi - machine.ioapic[i].gsi;
		if (gsi >= machine.ioapic[i].gsi && *pin < machine.ioapic[i].pins)
			return (int)i;
	}
	return -1;
}

static bool pin_route(unsigned gsi, bool level, bool active_low, arch_irq_handler handler, void *arg, uint32_t masked)
{
	int i;
	unsigned pin, vector, flags = gsi < COUNT_OF(machine.isa_flags) ? machine.isa_flags[gsi] : 0;

	/* The firmware knows better how a line of old is wired: 1 high, 3 low; 1 edge, 3 level. */
	if (flags & 3)
		active_low = (flags & 3) == 3;
	if (flags & 12)
		level = (flags >> 2 & 3) == 3;
	i = pin_of(gsi, &pin);
	vector = i < 0 ? 0 : irq_take(handler, arg);
	if (!vector)
		return false;
	if (gsi < COUNT_OF(pin_owner))
		pin_owner[gsi] = handler;
	ioapic_write((unsigned)i, IOAPIC_PIN(pin) + 1, machine.cpu_id[0] << 24);
	ioapic_write((unsigned)i, IOAPIC_PIN(pin), masked | vector | (level ? PIN_LEVEL : 0) | (active_low ? PIN_LOW : 0));
	return true;
}

bool arch_irq_pin(unsigned gsi, bool level, bool active_low, arch_irq_handler handler, void *arg)
{
	return pin_route(gsi, level, active_low, handler, arg, 0);
}

bool arch_irq_line(unsigned line, arch_irq_handler handler, void *arg)
{
	if (line >= EXO_LINES || LINES_SHUT >> line & 1)
		return false;
	return pin_owner[line] ? pin_owner[line] == handler : pin_route(line, false, false, handler, arg, PIN_MASKED);
}

void arch_irq_mask(unsigned line, bool masked)
{
	unsigned pin;
	int i = pin_of(line, &pin);
	uint32_t was = i < 0 ? 0 : ioapic_read((unsigned)i, IOAPIC_PIN(pin));

	if (i >= 0)
		ioapic_write((unsigned)i, IOAPIC_PIN(pin), masked ? was | PIN_MASKED : was & ~(uint32_t)PIN_MASKED);
}

/* --- set-up --------------------------------------------------------------------------------------------------------- */

static void pic_mask(void)
{
	unsigned port;

	for (port = 0x20; port <= 0xa0; port += 0x80) {
		outb((uint16_t)port, 0x11);
		outb((uint16_t)(port + 1), port == 0x20 ? VECTOR_PIC : VECTOR_PIC + 8);
		outb((uint16_t)(port + 1), port == 0x20 ? 4 : 2);
		outb((uint16_t)(port + 1), 1);
		outb((uint16_t)(port + 1), 0xff);
	}
}

static void ioapics_mask(void)
{
	uint32_t version;
	unsigned i, pin;

	if (!machine.ioapics)
		machine.ioapic[machine.ioapics++].base = IOAPIC_DEFAULT;
	for (i = 0; i < machine.ioapics; i++) {
		machine.ioapic[i].window = arch_map_device(machine.ioapic[i].base, 0x20);
		version = ioapic_read(i, IOAPIC_VERSION);
		if (version == 0 || version == ~0u)
			continue;
		machine.ioapic[i].pins = (version >> 16 & 0xff) + 1;
		for (pin = 0; pin < machine.ioapic[i].pins; pin++)
			ioapic_write(i, IOAPIC_PIN(pin), PIN_MASKED);
	}
}

void apic_start_local(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	if (base & BASE_X2)
		wrmsr(MSR_APIC_BASE, base & ~(uint64_t)(BASE_X2 | BASE_ENABLE));
	base &= ~(uint64_t)BASE_X2;
	wrmsr(MSR_APIC_BASE, base | BASE_ENABLE);
	if (!lapic)
		lapic = arch_map_device(base & EXO_PTE_FRAME, LAPIC_BYTES);
	lapic_write(LAPIC_TASK, 0);
	lapic_write(LAPIC_LVT_INT0, LVT_MASKED);
	lapic_write(LAPIC_LVT_INT1, LVT_NMI);
	lapic_write(LAPIC_LVT_ERROR, LVT_MASKED | VECTOR_SPURIOUS);
	lapic_write(LAPIC_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
	lapic_write(LAPIC_DIVIDE, 0xb);		/* by 1 */
	lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER);
}

void apic_start(void)
{
	struct apic_timer *timer = &this_cpu()->timer;

	apic_start_local();
	timer->count = (uint32_t)TICKS_MAX;	/* to learn its rate */
	lapic_write(LAPIC_INITIAL, timer->count);
	timer->tsc = rdtsc();
	pic_mask();
	ioapics_mask();
}
