/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * devices: shows drivers in application space (libos/dev), each with what it was given (key device of exo.conf).
 *
 * Usage: devices rtc      the date, then three full seconds and 64 quarters of a sixteenth of one, by interrupts
 *        devices com2     sends back the lines that come in there, in capital letters, until one is `quit`
 *        devices video    writes a line to the screen and reads it back
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "libos/core/space.h"
#include "libos/dev/dev.h"
#include "libos/vm/vm.h"

static struct dev dev;

static bool open_device(const char *name)
{
	int64_t error = dev_open(&dev, name);

	if (error < 0)
		fprintf(stderr, "devices: %s: %s; write device = %s into the program's section\n", name, exo_error_text(error),
		    name);
	return error >= 0;
}

static int show_rtc(void)
{
	struct rtc_date date;
	exo_time_t before;

	if (!open_device("rtc"))
		return 1;
	rtc_read(&dev, &date);
	core_line("date %04u-%02u-%02u %02u:%02u:%02u", date.year, date.month, date.day, date.hour, date.minute, date.second);
	if (rtc_every(&dev, 1) < 0)
		return 1;
	before = core_now();
	for (unsigned i = 1; i <= 3; i++) {
		if (!rtc_wait(&dev, core_now() + 3 * CORE_SECOND))
			return 1;
		rtc_read(&dev, &date);
		core_line("second %02u after %lu ms", date.second, (unsigned long)((core_now() - before) / 1000000));
	}
	rtc_every(&dev, 64);
	before = core_now();
	for (unsigned i = 0; i < 64; i++)
		if (!rtc_wait(&dev, core_now() + CORE_SECOND))
			return 1;
	core_line("64 of 64 a second after %lu ms", (unsigned long)((core_now() - before) / 1000000));
	return rtc_every(&dev, 0) < 0;
}

static int show_serial(void)
{
	char line[128];
	size_t used = 0;

	if (!open_device("com2"))
		return 1;
	if (!serial_start(&dev)) {
		fprintf(stderr, "devices: there is no second serial port\n");
		return 1;
	}
	serial_write(&dev, "ready\n", 6);
	for (;;) {
		size_t got = serial_read(&dev, line + used, sizeof(line) - used, EXO_NEVER);
		for (size_t i = used; i < used + got; i++)
			line[i] = (char)toupper((unsigned char)line[i]);
		used += got;
		char *end = memchr(line, '\n', used);
		if (!end && used < sizeof(line))
			continue;
		size_t bytes = end ? (size_t)(end - line) + 1 : used;
		if (bytes == 5 && !memcmp(line, "QUIT\n", 5))
			return 0;
		serial_write(&dev, line, bytes);
		memmove(line, line + bytes, used - bytes);
		used -= bytes;
	}
}

static int show_video(void)
{
	static const char text[] = "written to the screen";
	exo_cap_t video = core_named("video");
	exo_vaddr_t at = vm_addresses(EXO_PAGE_SIZE);

	if (!video || space_map(at, EXO_MAP_READ | EXO_MAP_WRITE, video, 0x18, 1) < 0) {
		fprintf(stderr, "devices: no video memory; write device = video into the program's section\n");
		return 1;
	}
	volatile uint16_t *screen = (volatile uint16_t *)at;
	for (unsigned i = 0; i < sizeof(text) - 1; i++)
		screen[i] = (uint16_t)(0x700 | (uint8_t)text[i]);
	for (unsigned i = 0; i < sizeof(text) - 1; i++)
		if (screen[i] != (0x700 | (uint8_t)text[i])) {
			core_line("no screen");
			return 1;
		}
	core_line("on the screen");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "rtc"))
		return show_rtc();
	if (argc == 2 && !strcmp(argv[1], "com2"))
		return show_serial();
	if (argc == 2 && !strcmp(argv[1], "video"))
		return show_video();
	fprintf(stderr, "devices: usage: devices rtc|com2|video\n");
	return 2;
}
