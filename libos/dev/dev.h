/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drivers in application space: what they are made of, and two of them.
 *
 * A program holds a device by capabilities that its creator named after it (key device of exo.conf): NAME.ports and,
 * if it interrupts, NAME.irq. All calls of one device belong to one program; those that wait block one thread.
 */
#ifndef LIBOS_DEV_DEV_H
#define LIBOS_DEV_DEV_H

#include "libos/core/thread.h"

/* --- line.c: ports, and interrupts as something to wait for ---------------------------------------------------- */

struct dev {
	exo_cap_t ports, interrupts;	/* the latter EXO_CAP_NONE: it does not interrupt */
	uint16_t base;			/* the first port */
	uint8_t line;
	bool fired;			/* since dev_wait saw it last */
	struct thread_queue waiters;
	struct dev *next;		/* of the program's devices */
};

/* Find a device by its name; memory is the caller's, for good. 0, or the error of its first port (CAP: not granted). */
int64_t dev_open(struct dev *dev, const char *name);
/* A byte port, counted from the first. */
uint8_t dev_in(const struct dev *dev, unsigned offset);
void dev_out(const struct dev *dev, unsigned offset, uint8_t value);
/*
 * Let the line interrupt once more. Call it before looking at the device: whatever happens from then on is told. If the
 * device interrupts too often, this sleeps for as long as its line is cut off. 0 or an error.
 */
int64_t dev_listen(struct dev *dev);
/* Wait for an interrupt since dev_listen: true; false: the deadline has passed. */
bool dev_wait(struct dev *dev, exo_time_t deadline);

/* --- rtc.c: the clock with calendar (MC146818) ----------------------------------------------------------------- */

struct rtc_date {
	uint16_t year;
	uint8_t month, day, hour, minute, second;
};

/* What it shows, read as a whole. Cost: up to 2 ms, while it counts on. */
void rtc_read(const struct dev *rtc, struct rtc_date *date);
/* Have it interrupt `hz` times a second, a power of two from 2 to 8192, and at each full second if hz is 1; 0: never. */
int64_t rtc_every(struct dev *rtc, unsigned hz);
/* Wait for the next of these. False: not before the deadline. */
bool rtc_wait(struct dev *rtc, exo_time_t deadline);

/* --- serial.c: a serial port (16550) --------------------------------------------------------------------------- */

/* 115200 baud, 8 bits; input by interrupts. False: there is no such port. */
bool serial_start(struct dev *serial);
/* Bytes that have come, at most so many; waits for the first until the deadline. */
size_t serial_read(struct dev *serial, void *buffer, size_t bytes, exo_time_t deadline);
/* Send all. False: the port does not take it. */
bool serial_write(const struct dev *serial, const void *buffer, size_t bytes);

#endif
