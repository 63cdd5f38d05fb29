/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * I/O ports and interrupt lines, for drivers in applications.
 *
 * The first environment has capabilities for all of them; but the port (arch.h) lets nobody touch what the kernel uses
 * itself, or what belongs to a device that can reach memory by itself: without an IOMMU, who drives such a device can
 * write anywhere.
 *
 * A line is bound to the first environment that asks, through a capability, until that is dropped or the environment
 * ends. It interrupts once: then it is masked until its owner asks again, which it does before it looks at the device,
 * so that no edge is lost. How often it may is limited; beyond that it stays masked for a while, which is counted.
 */
#include "exo/kernel.h"

static struct spinlock line_lock;	/* after the kernel lock; also the port's interrupt controllers */

static struct line {
	struct env *env;		/* NULL: nobody has it */
	const struct exo_cap *through;
	bool open;			/* it may interrupt */
	exo_time_t from;		/* since when its interrupts are counted */
	uint32_t count;
} lines[EXO_LINES];

/* --- interrupts ----------------------------------------------------------------------------------------- */

static void set_open(struct line *line, bool open)
{
	line->open = open;
	arch_irq_mask((unsigned)(line - lines), !open);
}

static void interrupted(void *arg)
{
	struct line *line = arg;

	spin_lock(&line_lock);
	set_open(line, false);
	if (line->env) {
		__atomic_fetch_or(&line->env->disp->interrupts, 1ULL << (line - lines), __ATOMIC_RELAXED);
		env_event(line->env, EXO_EVENT_INTERRUPT);
	}
	spin_unlock(&line_lock);
}

/* It is nobody's any more, if it was had through this capability or by this environment. */
static void let_go(const struct exo_cap *cap, const struct env *env)
{
	struct line *line;

	for (line = lines; line < lines + EXO_LINES; line++) {
		if (!line->env || (line->through != cap && line->env != env))
			continue;
		spin_lock(&line_lock);
		set_open(line, false);
		line->env = NULL;
		line->through = NULL;
		spin_unlock(&line_lock);
	}
}

bool interrupts_drop(struct exo_cap *cap, unsigned *budget)
{
	(void)budget;
	let_go(cap, NULL);
	return true;
}

void interrupts_leave(const struct env *env)
{
	let_go(NULL, env);
}

void interrupts_init(void)
{
	__builtin_memset(lines, 0, sizeof(lines));
}

/* Does it interrupt too often? */
static bool storm(struct line *line)
{
	exo_time_t now = arch_now();

	if (now - line->from >= EXO_STORM_NS) {
		line->from = now;
		line->count = 0;
	}
	if (line->count++ < EXO_STORM_MAX)
		return false;
	if (line->count == EXO_STORM_MAX + 1)
		info->interrupts_cut++;
	return true;
}

int64_t sys_interrupt(CALL_ARGS)
{
	struct env *self = current_env();
	struct exo_cap *cap;
	struct line *line;
	int64_t error;
	bool routed;

	cap = cap_need(self, a0, EXO_TYPE_INTERRUPTS, EXO_RIGHT_BIND, &error);
	if (!cap)
		return error;
	if (a1 < cap->first || a1 - cap->first >= cap->count)
		return ERR(RANGE);
	line = &lines[a1];
	if (line->env && line->env != self)
		return ERR(BUSY);
	spin_lock(&line_lock);	/* other lines interrupt meanwhile, on another CPU */
	routed = arch_irq_line((unsigned)a1, interrupted, line);
	spin_unlock(&line_lock);
	if (!routed)
		return ERR(BUSY);
	if (line->open)
		return 0;
	if (storm(line))
		return ERR(AGAIN);

	spin_lock(&line_lock);
	if (!line->env) {
		line->env = self;
		line->through = cap;
	}
	set_open(line, true);
	spin_unlock(&line_lock);
	return 0;
}

/* --- ports ---------------------------------------------------------------------------------------------- */

int64_t sys_port(CALL_ARGS)
{
	bool write = a2 & EXO_PORT_WRITE;
	uint64_t bytes = a2 & ~(uint64_t)EXO_PORT_WRITE;
	struct exo_cap *cap;
	int64_t error;

	cap = cap_need(current_env(), a0, EXO_TYPE_PORTS, write ? EXO_RIGHT_WRITE : EXO_RIGHT_READ, &error);
	if (!cap)
		return error;
	if (bytes != 1 && bytes != 2 && bytes != 4)
		return ERR(INVAL);
	if (a1 < cap->first || a1 - cap->first >= cap->count || bytes > cap->count - (a1 - cap->first))
		return ERR(RANGE);
	if (!arch_port_free((uint16_t)a1, (unsigned)bytes))
		return ERR(BUSY);
	if (!write)
		return arch_port_in((uint16_t)a1, (unsigned)bytes);
	arch_port_out((uint16_t)a1, (unsigned)bytes, (uint32_t)a3);
	return 0;
}
