/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A serial port, such as the second one of a PC. Source: PC16550D data sheet.
 */
#include "libos/dev/dev.h"

#define DATA		0
#define INTERRUPTS	1
#define QUEUE		2
#define LINE		3
#define MODEM		4
#define STATUS		5
#define STATUS_DATA	0x01
#define STATUS_EMPTY	0x20
#define SCRATCH		7
#define QUEUE_BYTES	16
#define LOOKS_MAX	10000		/* at a port that does not send */

bool serial_start(struct dev *serial)
{
	dev_out(serial, SCRATCH, 0x5a);
	if (dev_in(serial, SCRATCH) != 0x5a)
		return false;
	dev_out(serial, INTERRUPTS, 0);
	dev_out(serial, LINE, 0x80);
	dev_out(serial, DATA, 1);
	dev_out(serial, INTERRUPTS, 0);
	dev_out(serial, LINE, 0x03);
	dev_out(serial, QUEUE, 0x87);
	dev_out(serial, MODEM, 0x0b);
	if (dev_listen(serial) < 0)
		return false;
	dev_out(serial, INTERRUPTS, 1);
	return true;
}

size_t serial_read(struct dev *serial, void *buffer, size_t bytes, exo_time_t deadline)
{
	uint8_t *to = buffer;
	size_t got = 0;

	for (;;) {
		while (got < bytes && dev_in(serial, STATUS) & STATUS_DATA)
			to[got++] = dev_in(serial, DATA);
		if (got || !bytes || !dev_wait(serial, deadline))
			return got;
		dev_listen(serial);
	}
}

bool serial_write(const struct dev *serial, const void *buffer, size_t bytes)
{
	const uint8_t *from = buffer;

	for (size_t i = 0; i < bytes; i++) {
		if (i % QUEUE_BYTES == 0)
			for (unsigned looks = 0; !(dev_in(serial, STATUS) & STATUS_EMPTY); looks++)
				if (looks == LOOKS_MAX)
					return false;
		dev_out(serial, DATA, from[i]);
	}
	return true;
}
