/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports and interrupt lines of a program's devices. Interrupts come as one event and a word of bits (exo/disp.h); a
 * poller takes the bits and wakes who waits.
 */
#include "libos/dev/dev.h"

static struct dev *devices;

static exo_time_t look(void *arg)
{
	uint64_t bits = __atomic_exchange_n(&core_disp->interrupts, 0, __ATOMIC_ACQUIRE);

	(void)arg;
	for (struct dev *dev = devices; bits && dev; dev = dev->next)
		if (bits >> dev->line & 1) {
			dev->fired = true;
			thread_wake_all(&dev->waiters);
		}
	return EXO_NEVER;
}

static exo_cap_t part(const char *name, const char *what)
{
	char full[EXO_START_NAME];

	core_format(full, sizeof(full), "%s.%s", name, what);
	return core_named(full);
}

int64_t dev_open(struct dev *dev, const char *name)
{
	static struct thread_poller poller = { .poll = look };

	*dev = (struct dev){ .ports = part(name, "ports"), .interrupts = part(name, "irq") };
	if (!dev->ports)
		return -EXO_ECAP;
	dev->base = (uint16_t)caps_at(exo_cap_slot(dev->ports))->first;
	int64_t error = exo_port(dev->ports, dev->base, 1, 0);
	if (error < 0)
		return error;
	if (!dev->interrupts)
		return 0;
	dev->line = (uint8_t)caps_at(exo_cap_slot(dev->interrupts))->first;
	if (!devices)
		thread_add_poller(&poller);
	dev->next = devices;
	devices = dev;
	return 0;
}

uint8_t dev_in(const struct dev *dev, unsigned offset)
{
	return (uint8_t)exo_port(dev->ports, dev->base + offset, 1, 0);
}

void dev_out(const struct dev *dev, unsigned offset, uint8_t value)
{
	exo_port(dev->ports, dev->base + offset, 1 | EXO_PORT_WRITE, value);
}

int64_t dev_listen(struct dev *dev)
{
	int64_t error;

	while ((error = exo_interrupt(dev->interrupts, dev->line)) == -EXO_EAGAIN)
		thread_sleep(core_now() + EXO_STORM_NS);
	return error;
}

bool dev_wait(struct dev *dev, exo_time_t deadline)
{
	while (!dev->fired)
		if (!thread_wait(&dev->waiters, deadline))
			return false;
	dev->fired = false;
	return true;
}
