/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock with calendar of a PC. Source: MC146818 data sheet; the register of the century is where most firmware has
 * it, and is believed only if it makes sense.
 */
#include "libos/dev/dev.h"

#define REG_A		10
#define A_UPDATING	0x80
#define A_RATE		0x0f
#define REG_B		11
#define B_24		0x02
#define B_BINARY	0x04
#define B_UPDATED	0x10
#define B_PERIODIC	0x40
#define REG_C		12
#define REG_CENTURY	0x32
#define READS_MAX	100

static uint8_t get(const struct dev *rtc, uint8_t reg)
{
	dev_out(rtc, 0, reg);
	return dev_in(rtc, 1);
}

static void put(const struct dev *rtc, uint8_t reg, uint8_t value)
{
	dev_out(rtc, 0, reg);
	dev_out(rtc, 1, value);
}

/* The registers, while they did not change. */
static void read_all(const struct dev *rtc, uint8_t raw[7])
{
	static const uint8_t from[7] = { 0, 2, 4, 7, 8, 9, REG_CENTURY };

	for (unsigned tries = 0; tries < READS_MAX; tries++) {
		while (get(rtc, REG_A) & A_UPDATING && ++tries < READS_MAX)
			;
		for (unsigned i = 0; i < 7; i++)
			raw[i] = get(rtc, from[i]);
		if (!(get(rtc, REG_A) & A_UPDATING) && get(rtc, 0) == raw[0])
			return;
	}
}

static unsigned number(uint8_t raw, bool binary)
{
	return binary ? raw : (raw >> 4) * 10u + (raw & 15);
}

void rtc_read(const struct dev *rtc, struct rtc_date *date)
{
	uint8_t raw[7], mode = get(rtc, REG_B);
	bool binary = mode & B_BINARY, evening;
	unsigned hour, century;

	read_all(rtc, raw);
	evening = !(mode & B_24) && raw[2] & 0x80;
	hour = number(raw[2] & (mode & B_24 ? 0xff : 0x7f), binary);
	if (!(mode & B_24))
		hour = hour % 12 + (evening ? 12 : 0);
	century = number(raw[6], binary);
	if (century < 19 || century > 21)
		century = 20;
	*date = (struct rtc_date){ .second = (uint8_t)number(raw[0], binary), .minute = (uint8_t)number(raw[1], binary),
		.hour = (uint8_t)hour, .day = (uint8_t)number(raw[3], binary), .month = (uint8_t)number(raw[4], binary),
		.year = (uint16_t)(century * 100 + number(raw[5], binary)) };
}

int64_t rtc_every(struct dev *rtc, unsigned hz)
{
	uint8_t mode = get(rtc, REG_B) & (uint8_t)~(B_UPDATED | B_PERIODIC), rate = 16;

	if (hz > 8192 || hz & (hz - 1))
		return -EXO_EINVAL;
	int64_t error = hz ? dev_listen(rtc) : 0;
	if (error < 0)
		return error;
	for (unsigned n = hz; n > 1; n /= 2)
		rate--;
	if (hz > 1)
		put(rtc, REG_A, (get(rtc, REG_A) & (uint8_t)~A_RATE) | rate);
	put(rtc, REG_B, hz > 1 ? mode | B_PERIODIC : hz ? mode | B_UPDATED : mode);
	(void)get(rtc, REG_C);
	return 0;
}

bool rtc_wait(struct dev *rtc, exo_time_t deadline)
{
	if (!dev_wait(rtc, deadline))
		return false;
	dev_listen(rtc);
	(void)get(rtc, REG_C);		/* it may interrupt again */
	return true;
}
