/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stack without threads: bringing it up, its pieces of work, and telling those who share the address.
 *
 * Who drives it calls, again and again: flownet_poll, stack_work, flownet_flush. uni does so from its thread poller
 * (net.c), dataplane from its loop.
 *
 * lwIP searches its connections one by one, those that have ended (TIME-WAIT) included. So that short connections in a
 * row cost the same for ever, the oldest ended ones beyond NET_TIME_WAIT_MAX are dropped, as lwIP itself does when it
 * runs out of memory. Half-open ones may take a quarter of the memory, which is more than a crowd of honest clients
 * needs who all come at once; when another is asked for, the oldest of them make room, so that a flood locks nobody out.
 */
#include <stdlib.h>
#include <string.h>
#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/timeouts.h"
#include "netif/ethernet.h"
#include "libos/core/space.h"
#include "libos/net/flownet.h"
#include "libos/net/net.h"
#include "libos/net/stack.h"
#include "libos/vm/vm.h"
#include <exo/flow.h>

#define MS		(CORE_SECOND / 1000)
#define MEMORY_LEAST	24	/* frames */
#define MEMORY_SHARE	8	/* of the free frames, one in so many */
#define RX_FRAMES_LEAST	4
#define RX_SHARE	32	/* of the free frames, one in so many for a ring */
#define HALF_OPEN_BYTES	512	/* that a half-open connection takes ... */
#define HALF_OPEN_SHARE	4	/* ... of the memory, one part in so many, */
#define HALF_OPEN_LEAST	128	/* at least so many */
#define HALF_OPEN_MOST	1536	/* and at most: half of what dataplane's table holds */
#define HALF_OPEN_PART	8	/* one in so many makes room at a time */
#define OOSEQ_BYTES	2048	/* that a packet takes which is kept, at most */
#define OOSEQ_SHARE	4	/* what came out of order may take one part in so many of what is free beyond half of the memory */
#define CREDIT_SHARE	6	/* of the memory, one in so many is given out as credit: small segments take a multiple of it; ... */
#define CREDIT_SHARE_LONG 3	/* ... and long ones no half as much more ... */
#define LONG_MSS	1024
#define CREDIT_SPARE	4	/* ... as if there were so many more connections */
#define CREDIT_LEAST	(4 * TCP_MSS)
#define PRUNE_EVERY	8	/* turns */
#define SILENT_EVERY	(100 * MS)
#define SILENT_TIMES	2	/* retransmissions without an answer */
#define SHARE_POLL	(20 * MS)

void (*stack_address)(void);
static bool started;
struct netif stack_netif;
struct netif stack_loop;
static struct netinfo *page;		/* shared with others; NULL: nobody */
static uint32_t page_seen;
static unsigned turns;
static exo_time_t timers_due;
static unsigned half_open;		/* connections: no more than so many */
static unsigned half_open_most = HALF_OPEN_LEAST;

/* --- what lwIP calls --- */

void net_diagnostic(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	core_vprint(format, arguments);
	va_end(arguments);
}

void net_assertion(const char *message, const char *file, int line)
{
	core_fail("lwIP: %s (%s:%d)", message, file, line);
}

uint32_t net_random(void)
{
	uint32_t random;

	core_random(&random, sizeof(random));
	return random;
}

/* --- work --- */

/* The list begins with the newest. */
static void prune_ended(void)
{
	struct tcp_pcb *pcb = tcp_tw_pcbs, *old;

	for (unsigned i = 1; pcb && i < NET_TIME_WAIT_MAX; i++)
		pcb = pcb->next;
	old = pcb ? pcb->next : NULL;
	if (old)
		pcb->next = NULL;
	while (old) {
		pcb = old;
		old = pcb->next;
		pcb->next = tcp_tw_pcbs;	/* in front: lwIP looks for it from there */
		tcp_tw_pcbs = pcb;
		tcp_abandon(pcb, 0);
	}
}

/*
 * There seem to be too many half-open connections: count them, and if it is so the oldest make room, many at a time, so that
 * a flood pays for looking through the list once in so many requests. The list begins with the newest.
 */
static __attribute__((noinline)) void half_open_room(void)
{
	unsigned many = half_open_most / HALF_OPEN_PART, count = 0, keep;
	struct tcp_pcb *pcb, **link;

	for (pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
		count += pcb->state == SYN_RCVD;
	half_open = count;
	if (count < half_open_most)
		return;
	keep = count - many;
	for (link = &tcp_active_pcbs; (pcb = *link) != NULL;) {
		if (pcb->state != SYN_RCVD || keep) {
			keep -= pcb->state == SYN_RCVD;
			link = &pcb->next;
			continue;
		}
		*link = pcb->next;
		pcb->next = tcp_active_pcbs;	/* in front: lwIP looks for it from there */
		tcp_active_pcbs = pcb;
		tcp_abandon(pcb, 0);
		half_open--;
	}
}

/* A client uses its port again, with a later sequence number: its ended connection is over (RFC 1122, 4.2.2.13). */
static void ended_again(const struct filter_syn *syn)
{
	for (struct tcp_pcb *pcb = tcp_tw_pcbs; pcb; pcb = pcb->next) {
		if (pcb->remote_port == syn->from_port && pcb->local_port == syn->port &&
		    ip4_addr_get_u32(ip_2_ip4(&pcb->remote_ip)) == syn->from) {
			if (TCP_SEQ_GT(syn->sequence, pcb->rcv_nxt))
				tcp_abandon(pcb, 0);
			return;
		}
	}
}

void net_syn_room(void)
{
	if (++half_open > half_open_most)
		half_open_room();
}

void net_before_syn(const struct filter_syn *syn)
{
	ended_again(syn);
	net_syn_room();
}

/*
 * Who found no memory to send goes on when there is some: lwIP itself would look again only after a second. Up to the first who
 * finds none again: what one gives back is enough for one, and the others' turn comes when he has sent.
 */
static void retry_writers(void)
{
	struct tcp_pcb *pcb, *next;
	uint64_t failures;

	if (!net_memory_again())
		return;
	failures = net_memory_use().failures;
	for (pcb = tcp_active_pcbs; pcb && net_memory_use().failures == failures; pcb = next) {
		next = pcb->next;
		if (pcb->poll)
			pcb->poll(pcb->callback_arg, pcb);
	}
}

/*
 * A connection that its program has closed keeps what was not acknowledged, for minutes if nobody answers any more. While memory
 * is short such ones make room, the one first that was sent the most often in vain.
 */
static void silent_go(exo_time_t now)
{
	static exo_time_t due;
	struct tcp_pcb *worst = NULL;

	if (!net_memory_short() || now < due)
		return;
	due = now + SILENT_EVERY;
	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
		if (pcb->callback_arg || pcb->state < FIN_WAIT_1 || !pcb->unacked || pcb->nrtx < SILENT_TIMES)
			continue;
		if (!worst || pcb->nrtx > worst->nrtx)
			worst = pcb;
	}
	if (worst)
		tcp_abandon(worst, 0);
}

uint32_t net_send_credit(unsigned connections, unsigned mss)
{
	uint32_t part = EXO_PAGE_SIZE / (mss < LONG_MSS ? CREDIT_SHARE : CREDIT_SHARE_LONG);
	uint32_t share = net_memory_use().pages * part / (connections + CREDIT_SPARE);

	if (share > TCP_SND_BUF)
		return TCP_SND_BUF;
	return share < CREDIT_LEAST ? CREDIT_LEAST : share;
}

/*
 * As switches share their buffers (Choudhury and Hahne, 1998): each may have a part of what is free now. The more take, the less
 * is left for each, so those who are late get as much as those who came first, and half of the memory is never taken.
 */
unsigned short net_ooseq_packets(void)
{
	struct net_memory_use use = net_memory_use();
	uint32_t spare = use.pages_free > use.pages / 2 ? use.pages_free - use.pages / 2 : 0, most;

	most = spare * (EXO_PAGE_SIZE / OOSEQ_BYTES) / OOSEQ_SHARE;
	return (unsigned short)(most < TCP_WND / TCP_MSS ? most : TCP_WND / TCP_MSS);
}

static void share_address(void)
{
	uint32_t sequence = page->sequence;

	__atomic_store_n(&page->sequence, sequence + 1, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	page->address = ip4_addr_get_u32(netif_ip4_addr(&stack_netif));
	page->mask = ip4_addr_get_u32(netif_ip4_netmask(&stack_netif));
	page->gateway = ip4_addr_get_u32(netif_ip4_gw(&stack_netif));
	for (u8_t i = 0; i < 2 && i < DNS_MAX_SERVERS; i++)
		page->dns[i] = ip4_addr_get_u32(ip_2_ip4(dns_getserver(i)));
	page->mtu = stack_netif.mtu;
	page->up = page->address != 0;
	__atomic_store_n(&page->sequence, sequence + 2, __ATOMIC_RELEASE);
}

/* A sharer: has the holder learned the address, or another one? */
static void follow_address(void)
{
	uint32_t sequence = __atomic_load_n(&page->sequence, __ATOMIC_ACQUIRE);
	struct netinfo copy;
	ip4_addr_t address, mask, gateway;

	if (sequence == page_seen || sequence % 2)
		return;
	copy = *page;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (*(volatile uint32_t *)&page->sequence != sequence)
		return;
	page_seen = sequence;
	ip4_addr_set_u32(&address, copy.up ? copy.address : 0);
	ip4_addr_set_u32(&mask, copy.mask);
	ip4_addr_set_u32(&gateway, copy.gateway);
	netif_set_addr(&stack_netif, &address, &mask, &gateway);
	for (u8_t i = 0; i < 2 && i < DNS_MAX_SERVERS; i++) {
		ip_addr_t server;

		ip_addr_set_ip4_u32(&server, copy.dns[i]);
		dns_setserver(i, &server);
	}
}

static void address_changed(struct netif *changed)
{
	(void)changed;
	if (page && flownet_holder())
		share_address();
	if (net_address() && stack_address)
		stack_address();
}

exo_time_t stack_work(exo_time_t now, bool *changed)
{
	bool due = now >= timers_due;
	uint32_t ms;

	*changed = due || stack_left();
	if (page && !flownet_holder())
		follow_address();
	if (stack_left())
		netif_poll_all();
	if (due) {
		flownet_collect();
		sys_check_timeouts();
	}
	if (flownet_room())
		tcp_txnow();
	retry_writers();
	silent_go(now);
	if (++turns % PRUNE_EVERY == 0)
		prune_ended();
	if (page && !flownet_holder() && !net_address())
		return now + SHARE_POLL;
	ms = sys_timeouts_sleeptime();
	timers_due = ms == SYS_TIMEOUTS_SLEEPTIME_INFINITE ? EXO_NEVER : now + ms * MS;
	return timers_due;
}

/* --- starting --- */

/* The value of NAME=VALUE in the program's environment. */
static const char *setting(const char *name)
{
	size_t length = strlen(name);
	const char *text;

	for (unsigned i = 0; (text = core_environment(i)) != NULL; i++) {
		if (!strncmp(text, name, length) && text[length] == '=')
			return text + length + 1;
	}
	return NULL;
}

/* "A.B.C.D/BITS" */
static bool address_parse(const char *text, ip4_addr_t *address, ip4_addr_t *mask)
{
	char number[16];
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	unsigned bits = slash ? (unsigned)strtoul(slash + 1, NULL, 10) : 24;

	if (length >= sizeof(number) || bits == 0 || bits > 32)
		return false;
	memcpy(number, text, length);
	number[length] = 0;
	ip4_addr_set_u32(mask, lwip_htonl(0xffffffff << (32 - bits)));
	return ip4addr_aton(number, address);
}

static const char *address_start(void)
{
	const char *text = setting("NET_ADDRESS"), *gateway_text = setting("NET_GATEWAY"), *dns_text = setting("NET_DNS");
	ip4_addr_t address, mask, gateway;
	ip_addr_t server;

	netif_set_status_callback(&stack_netif, address_changed);
	if (!flownet_holder()) {
		netif_set_up(&stack_netif);
		return page ? NULL : "it shares an address, but no page tells which";
	}
	if (!text) {
		netif_set_up(&stack_netif);
		return dhcp_start(&stack_netif) == ERR_OK ? NULL : "no memory for DHCP";
	}
	ip4_addr_set_zero(&gateway);
	if (!address_parse(text, &address, &mask) || (gateway_text && !ip4addr_aton(gateway_text, &gateway)))
		return "NET_ADDRESS or NET_GATEWAY is not an address";
	netif_set_addr(&stack_netif, &address, &mask, &gateway);
	netif_set_up(&stack_netif);
	if (dns_text && ipaddr_aton(dns_text, &server))
		dns_setserver(0, &server);
	address_changed(&stack_netif);
	return NULL;
}

static const char *page_map(void)
{
	exo_cap_t cap = core_named(NETINFO_NAME);
	unsigned flags = EXO_MAP_READ | (flownet_holder() ? EXO_MAP_WRITE : 0);
	exo_vaddr_t va = cap ? vm_addresses(EXO_PAGE_SIZE) : 0;

	if (!cap)
		return NULL;
	if (!va || space_map(va, flags, cap, 0, 1) < 0)
		return "the page about the shared address cannot be mapped";
	page = (struct netinfo *)va;
	if (page->version != NETINFO_VERSION)
		return "the page about the shared address has another version";
	flownet_given(page);
	return NULL;
}

/* A power of two that suits the memory there is. */
static uint32_t ring_frames(void)
{
	uint32_t frames = RX_FRAMES_LEAST;

	while (frames < EXO_RX_FRAMES_MAX && 2 * frames <= frame_left() / RX_SHARE)
		frames *= 2;
	return frames;
}

static err_t loop_output(struct netif *loop, struct pbuf *packet, const ip4_addr_t *address)
{
	(void)address;
	return netif_loop_output(loop, packet);
}

static err_t loop_init(struct netif *loop)
{
	loop->name[0] = 'l';
	loop->name[1] = 'o';
	loop->output = loop_output;
	return ERR_OK;
}

static void interfaces_add(void)
{
	ip4_addr_t address, mask;

	IP4_ADDR(&address, 127, 0, 0, 1);
	IP4_ADDR(&mask, 255, 0, 0, 0);
	netif_add(&stack_loop, &address, &mask, &address, NULL, loop_init, ip_input);
	netif_set_link_up(&stack_loop);
	netif_set_up(&stack_loop);
	netif_add(&stack_netif, NULL, NULL, NULL, NULL, flownet_init, ethernet_input);
	netif_set_default(&stack_netif);
	netif_set_hostname(&stack_netif, "exo");
}

static struct net_run memory;
static uint32_t memory_own;	/* frames of it that are the stack's */

/* With up to `more` frames behind the stack's own. */
static bool memory_take(uint32_t more)
{
	uint32_t most = frame_left() / MEMORY_SHARE;

	if (most > EXO_TX_FRAMES_MAX)
		most = EXO_TX_FRAMES_MAX;
	if (most < MEMORY_LEAST)
		most = MEMORY_LEAST;
	if (more > EXO_TX_FRAMES_MAX / 2)
		more = EXO_TX_FRAMES_MAX / 2;
	if (most + more > EXO_TX_FRAMES_MAX)
		most = EXO_TX_FRAMES_MAX - more;
	if (!net_run_take(&memory, MEMORY_LEAST, most + more))
		return false;
	memory_own = memory.frames < most ? memory.frames : most;
	return true;
}

uint32_t net_reserve(uint32_t frames, void **base, exo_cap_t *cap, uint32_t *first)
{
	if (started || memory.frames || !memory_take(frames))
		return 0;
	*base = memory.base + (size_t)memory_own * EXO_PAGE_SIZE;
	*cap = memory.cap;
	*first = memory_own;
	return memory.frames - memory_own;
}

static unsigned half_open_limit(uint32_t pages)
{
	uint32_t most = pages * (EXO_PAGE_SIZE / HALF_OPEN_BYTES) / HALF_OPEN_SHARE;

	if (most > HALF_OPEN_MOST)
		return HALF_OPEN_MOST;
	return most < HALF_OPEN_LEAST ? HALF_OPEN_LEAST : most;
}

const char *stack_start(void)
{
	static const char *wrong;

	if (started || wrong)
		return wrong;
	if (!memory.frames && !memory_take(0))
		return wrong = "no memory for the network";
	net_memory_start(&memory, memory_own);
	half_open_most = half_open_limit(memory_own);
	wrong = flownet_bind(&memory, ring_frames());
	if (!wrong)
		wrong = page_map();
	if (wrong)
		return wrong;
	lwip_init();
	interfaces_add();
	started = true;
	return wrong = address_start();
}

uint32_t net_address(void)
{
	return ip4_addr_get_u32(netif_ip4_addr(&stack_netif));
}
