/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network brought up and kept going, and the address.
 *
 * Nothing here has a timer but connections that wait for something and DHCP: a program at rest is not woken at all.
 */
#include <string.h>
#include "libos/event/net.h"

#define SHARE_POLL_MS	20
#define ASK_MOST	50

static bool started, named;	/* named: the program has said its address */
static uint32_t own, own_mask, own_gateway;
static struct conn_timer look;

/* --- the address --- */

/* "A.B.C.D", or with "/BITS" behind. */
static bool address_parse(const char *text, uint32_t *address, uint32_t *mask)
{
	uint32_t number[5] = { 0, 0, 0, 0, 24 }, count = 0;

	for (; count < 5; text++) {
		uint32_t value = 0;
		if (*text < '0' || *text > '9')
			return false;
		for (; *text >= '0' && *text <= '9' && value < 256; text++)
			value = value * 10 + (uint32_t)(*text - '0');
		if (value > (count < 4 ? 255 : 32))
			return false;
		number[count++] = value;
		if (!*text || *text != (count < 4 ? '.' : '/'))
			break;
	}
	if (count < 4 || *text || !number[4])
		return false;
	*address = number[0] | number[1] << 8 | number[2] << 16 | number[3] << 24;
	*mask = __builtin_bswap32(0xffffffff << (32 - number[4]));
	return true;
}

void event_address_changed(uint32_t address, uint32_t mask, uint32_t gateway)
{
	net_address = address;
	net_mask = mask;
	net_gateway = gateway;
	link_share(address, mask, gateway);
}

bool event_address_set(const char *address, const char *gateway)
{
	uint32_t unused;

	own_gateway = 0;
	if (!address_parse(address, &own, &own_mask) || (gateway && !address_parse(gateway, &own_gateway, &unused)))
		return false;
	named = true;
	if (started)
		event_address_changed(own, own_mask, own_gateway);
	return true;
}

uint32_t event_address(void)
{
	return net_address;
}

/* The value of NAME=VALUE in the program's environment. */
static const char *setting(const char *name)
{
	size_t length = strlen(name);
	const char *text;

	for (unsigned i = 0; (text = core_environment(i)) != NULL; i++)
		if (!strncmp(text, name, length) && text[length] == '=')
			return text + length + 1;
	return NULL;
}

/* Who shares the address reads it from a page, at each turn; until there is one he must look by himself. */
static void look_again(struct conn_timer *timer)
{
	if (!net_address)
		conn_timer_set(timer, SHARE_POLL_MS);
}

static const char *address_start(void)
{
	const char *text = setting("NET_ADDRESS");

	if (!link_holder()) {
		look.call = look_again;
		look_again(&look);
		return NULL;
	}
	if (!named && text && !event_address_set(text, setting("NET_GATEWAY")))
		return "NET_ADDRESS or NET_GATEWAY is not an address";
	if (named)
		event_address_changed(own, own_mask, own_gateway);
	else
		dhcp_begin();
	return NULL;
}

/* --- going --- */

const char *event_net_start(void)
{
	static const char *wrong;

	if (started || wrong)
		return wrong;
	wrong = link_bind();
	if (wrong)
		return wrong;
	started = true;
	return wrong = address_start();
}

unsigned event_net_poll(void)
{
	unsigned taken = started ? link_poll() : 0;

	if (link_room())
		tcp_room();
	return taken;
}

static void look_at_device(struct conn_timer *timer)
{
	(void)timer;
}

/*
 * The kernel says that a ring has room only to whom it has not taken everything from. So who has found none asks: some times in
 * a row, as the device takes but a moment, then each millisecond.
 */
void event_net_flush(void)
{
	static struct conn_timer timer = { .call = look_at_device };
	static unsigned asked;

	if (!started)
		return;
	link_flush(link_blocked());
	if (!link_blocked())
		asked = 0;
	else if (++asked < ASK_MOST)
		pt_again();
	else
		conn_timer_set(&timer, 1);
}
