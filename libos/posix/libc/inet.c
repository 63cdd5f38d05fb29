/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Internet addresses as text, and byte orders (POSIX.1-2017; RFC 4291, 5952 for IPv6).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

const struct in6_addr in6addr_any = IN6ADDR_ANY_INIT, in6addr_loopback = IN6ADDR_LOOPBACK_INIT;

uint32_t (htonl)(uint32_t x) { return __builtin_bswap32(x); }
uint32_t (ntohl)(uint32_t x) { return __builtin_bswap32(x); }
uint16_t (htons)(uint16_t x) { return __builtin_bswap16(x); }
uint16_t (ntohs)(uint16_t x) { return __builtin_bswap16(x); }

/* One to four numbers, the last of which fills the rest; decimal, octal or hexadecimal. */
int inet_aton(const char *text, struct in_addr *address)
{
	uint32_t value = 0;
	unsigned long number = 0;
	unsigned parts = 0;
	char *end;

	for (;; text = end + 1) {
		if (*text < '0' || *text > '9')
			return 0;
		number = strtoul(text, &end, 0);
		if (*end != '.')
			break;
		if (number > 255 || ++parts > 3)
			return 0;
		value = value << 8 | (uint32_t)number;
	}
	if (*end && *end != ' ' && (*end < '\t' || *end > '\r'))
		return 0;
	if (number > 0xffffffff >> 8 * parts)
		return 0;
	value = parts ? value << (32 - 8 * parts) | (uint32_t)number : (uint32_t)number;
	if (address)
		address->s_addr = htonl(value);
	return 1;
}

in_addr_t inet_addr(const char *text)
{
	struct in_addr address;

	return inet_aton(text, &address) ? address.s_addr : INADDR_NONE;
}

char *inet_ntoa(struct in_addr address)
{
	static _Thread_local char text[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &address, text, sizeof(text));
	return text;
}

static int pton4(const char *text, uint8_t byte[4])
{
	for (unsigned i = 0; i < 4; i++) {
		unsigned value = 0, digits = 0;

		while (*text >= '0' && *text <= '9' && digits < 3) {
			if (digits && !value)
				return 0;	/* a leading zero */
			value = value * 10 + (unsigned)(*text++ - '0');
			digits++;
		}
		if (!digits || value > 255 || *text != (i < 3 ? '.' : 0))
			return 0;
		byte[i] = (uint8_t)value;
		text += i < 3;
	}
	return 1;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int pton6(const char *text, uint8_t byte[16])
{
	unsigned at = 0, gap = 17, digits, value;

	if (text[0] == ':' && *++text != ':')
		return 0;
	memset(byte, 0, 16);
	while (*text) {
		const char *start = text;

		if (*text == ':' && gap == 17) {
			gap = at;
			text++;
			continue;
		}
		for (digits = value = 0; digits < 5 && digit(*text) >= 0; digits++)
			value = value << 4 | (unsigned)digit(*text++);
		if (*text == '.' && at <= 12) {
			if (!pton4(start, byte + at))
				return 0;
			at += 4;
			break;
		}
		if (!digits || digits > 4 || at > 14 || (*text && *text != ':') || (*text == ':' && !text[1]))
			return 0;
		byte[at++] = (uint8_t)(value >> 8);
		byte[at++] = (uint8_t)value;
		text += *text == ':';
	}
	if (gap == 17)
		return at == 16;
	if (at == 16)
		return 0;
	memmove(byte + 16 - (at - gap), byte + gap, at - gap);
	memset(byte + gap, 0, 16 - at);
	return 1;
}

int inet_pton(int family, const char *text, void *address)
{
	uint8_t byte[16];
	int good;

	if (family != AF_INET && family != AF_INET6) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	good = family == AF_INET ? pton4(text, byte) : pton6(text, byte);
	if (good)
		memcpy(address, byte, family == AF_INET ? 4 : 16);
	return good;
}

/* The longest run of zero groups, of two at least, is left out. */
static void ntop6(const uint8_t *byte, char *text)
{
	unsigned best = 8, best_length = 1, length, i;

	for (i = 0; i < 8; i += length + 1) {
		for (length = 0; i + length < 8 && !byte[2 * (i + length)] && !byte[2 * (i + length) + 1]; length++)
			;
		if (length > best_length) {
			best = i;
			best_length = length;
		}
	}
	for (i = 0; i < 8; i++) {
		if (i == best) {
			text += sprintf(text, i + best_length == 8 ? "::" : ":");
			i += best_length - 1;
			continue;
		}
		text += sprintf(text, "%s%x", i ? ":" : "", (unsigned)(byte[2 * i] << 8 | byte[2 * i + 1]));
	}
}

const char *inet_ntop(int family, const void *address, char *text, socklen_t bytes)
{
	char whole[INET6_ADDRSTRLEN];
	const uint8_t *byte = address;
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (family == AF_INET)
		sprintf(whole, "%u.%u.%u.%u", byte[0], byte[1], byte[2], byte[3]);
	else if (family == AF_INET6 && !memcmp(byte, mapped, sizeof(mapped)))
		sprintf(whole, "::ffff:%u.%u.%u.%u", byte[12], byte[13], byte[14], byte[15]);
	else if (family == AF_INET6)
		ntop6(byte, whole);
	if (family != AF_INET && family != AF_INET6) {
		errno = EAFNOSUPPORT;
		return NULL;
	}
	if (strlen(whole) >= bytes) {
		errno = ENOSPC;
		return NULL;
	}
	return strcpy(text, whole);
}
