/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echo: answers UDP to a port, or ICMP echo requests, in the kernel when the packet arrives (exo/code.h), or by itself, to
 * see the difference.
 *
 *	echo udp [-a] [-v] [PORT]	the flow "udp/PORT" (net = share), or a program at net0 (net = own); PORT: 7
 *	echo icmp [-a] [-v]		net = own
 *
 * -a: the application answers: from its ring, in place, if the port's flow is its own; else its TCP/IP does. -v: says each
 * second how many were answered, if there are more. With net = own the program looks at all packets of the address first,
 * and leaves all that it does not answer (ARP, DHCP) to TCP/IP.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "apps/echo/echo.h"
#include "libos/core/code.h"
#include "libos/core/thread.h"
#include "libos/net/claim.h"
#include "libos/net/memory.h"
#include "libos/net/net.h"

#define RX_FRAMES	16
#define RX_SLOTS	(2 * RX_FRAMES)
#define ADDRESS_SECONDS	30
#define DAY		86400

extern const char echo_udp[], echo_udp_end[], echo_icmp[], echo_icmp_end[];

static struct code_object object;
static struct code_program program;
static volatile uint64_t *echoes;
static uint64_t answered;		/* by the application */
static struct exo_ring *ring;
static exo_cap_t flow;
static bool verbose;

static _Noreturn void fail(const char *what, const char *why)
{
	printf("echo: %s: %s\n", what, why);
	exit(1);
}

/* --- the program in the kernel --------------------------------------------------------------------------- */

/* Requests have these bytes there, as far as the mask says. */
static void ask(struct echo_state *state, unsigned place, const void *bytes, unsigned count, uint8_t mask)
{
	for (unsigned i = 0; i < count; i++)
		for (unsigned n = 0; n < ECHO_WORDS; n++) {
			unsigned at = place + i - ECHO_WORD_AT(n);

			if (at >= sizeof(uint64_t))
				continue;
			((uint8_t *)&state->word[n].mask)[at] = mask;
			((uint8_t *)&state->word[n].value)[at] = ((const uint8_t *)bytes)[i] & mask;
		}
}

/* Unfragmented IPv4 packets of a protocol without options, to an address (0: any), and a port, if it has ports. */
static void ask_all(struct echo_state *state, uint8_t protocol, uint32_t address, uint16_t port)
{
	static const uint8_t version[] = { 0x08, 0x00, 0x45 }, whole[2], request[] = { ECHO_REQUEST, 0 };

	port = ECHO_BE(port);
	ask(state, ECHO_TYPE, version, sizeof(version), 0xff);
	ask(state, ECHO_FRAGMENT, whole, sizeof(whole), 0xff);
	ask(state, ECHO_FRAGMENT, whole, 1, ECHO_UNCUT);
	ask(state, ECHO_PROTOCOL, &protocol, 1, 0xff);
	if (address)
		ask(state, ECHO_IP_TO, &address, sizeof(address), 0xff);
	if (protocol == ECHO_UDP)
		ask(state, ECHO_PORT_TO, &port, sizeof(port), 0xff);
	else
		ask(state, ECHO_PORT_FROM, request, sizeof(request), 0xff);
}

/* Say where a rejected program went wrong. */
static void load(const char *start, const char *end, uint8_t protocol, uint32_t address, uint16_t port)
{
	int64_t error = code_load_object(&program, &object, start, (size_t)(end - start), NULL);
	struct echo_state *state;

	if (error == -EXO_EREJECTED)
		printf("echo: instruction %u: rejected, reason %u\n", (unsigned)program.report.insn,
		    (unsigned)program.report.reject);
	if (error)
		fail(program.wrong, exo_error_text(error));
	state = code_variable(&program, &object, "state", sizeof(*state));
	if (!state)
		fail("the program", "its variable is missing");
	ask_all(state, protocol, address, port);
	echoes = &state->echoes;
	error = exo_flow_attach(flow, program.cap);
	if (error)
		fail("cannot attach the program", exo_error_text(error));
}

/* --- the application's own echo --------------------------------------------------------------------------- */

static void ring_open(void)
{
	struct net_run run;
	int64_t error;
	unsigned i;

	if (!net_run_take(&run, 1 + RX_FRAMES, 1 + RX_FRAMES))
		fail("no memory", "for a ring");
	ring = (struct exo_ring *)run.base;
	ring->rx_frames = RX_FRAMES;
	for (i = 0; i < RX_SLOTS; i++)
		ring->rx_free[i] = (uint16_t)i;
	ring->rx_posted = RX_SLOTS;
	error = exo_flow_bind(flow, run.cap, 0, run.cap, 0, 1 + RX_FRAMES);
	if (error)
		fail("cannot bind the flow", exo_error_text(error));
}

/* The packet becomes its answer where it lies. */
static void turn(uint8_t *frame)
{
	uint8_t in[ECHO_LEAST];

	memcpy(in, frame, sizeof(in));
	echo_turn(frame, in);
	echo_turn_ports(frame, in);
}

/* Slots go back to the ring when the device has sent what lies in them. */
static void ring_serve(void)
{
	uint32_t taken = 0, given = 0, head;
	uint64_t events;

	for (;;) {
		events = __atomic_load_n(&core_disp->events, __ATOMIC_ACQUIRE);
		head = __atomic_load_n(&ring->rx_head, __ATOMIC_ACQUIRE);
		if (taken == head) {
			core_sleep(EXO_NEVER, events);
			continue;
		}
		for (; taken != head; taken++) {
			const struct exo_rx *rx = &ring->rx[taken % RX_SLOTS];
			struct exo_tx *tx = &ring->tx[ring->tx_head % EXO_TX_SLOTS];
			uint32_t place = EXO_PAGE_SIZE + rx->slot * EXO_RX_SLOT_BYTES;

			turn((uint8_t *)ring + place);
			*tx = (struct exo_tx){ place, rx->bytes, 0 };
			__atomic_store_n(&ring->tx_head, ring->tx_head + 1, __ATOMIC_RELEASE);
		}
		exo_flow_kick(flow);
		for (; given != ring->tx_done; given++)
			ring->rx_free[ring->rx_posted++ % RX_SLOTS] = ring->rx[given % RX_SLOTS].slot;
		answered = taken;
	}
}

/* TCP/IP's echo of UDP. */
static void socket_serve(uint16_t port)
{
	static char data[2048];
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = ECHO_BE(port) };
	socklen_t length = sizeof(to);
	ssize_t bytes;

	if (s < 0 || bind(s, (struct sockaddr *)&to, sizeof(to)))
		fail("no socket", "for the port");
	for (;;) {
		length = sizeof(to);
		bytes = recvfrom(s, data, sizeof(data), 0, (struct sockaddr *)&to, &length);
		if (bytes >= 0 && sendto(s, data, (size_t)bytes, 0, (struct sockaddr *)&to, length) == bytes)
			answered++;
	}
}

/* --- main ----------------------------------------------------------------------------------------------- */

static uint32_t own_address(void)
{
	const char *wrong = net_start();

	if (wrong)
		fail("no network", wrong);
	if (!net_wait(core_now() + ADDRESS_SECONDS * CORE_SECOND))
		fail("no network", "no address");
	return net_address();
}

static _Noreturn void watch(void)
{
	uint64_t said = 0, now;

	for (;;) {
		thread_sleep(core_now() + (verbose ? 1 : DAY) * CORE_SECOND);
		now = echoes ? *echoes : answered;
		if (verbose && now != said)
			printf("echo: %llu\n", (unsigned long long)now);
		fflush(stdout);
		said = now;
	}
}

int main(int argc, char **argv)
{
	bool icmp = argc > 1 && !strcmp(argv[1], "icmp"), own = false;
	uint32_t address = 0;
	uint16_t port = 7;
	char name[16];
	int i;

	if (argc < 2 || (!icmp && strcmp(argv[1], "udp")))
		fail("usage", "echo udp [-a] [-v] [PORT] | echo icmp [-a] [-v]");
	for (i = 2; i < argc; i++) {
		own = own || !strcmp(argv[i], "-a");
		verbose = verbose || !strcmp(argv[i], "-v");
		if (argv[i][0] != '-')
			port = (uint16_t)atoi(argv[i]);
	}
	claim_name_make(name, CLAIM_UDP, port, 1);
	flow = icmp ? EXO_CAP_NONE : core_named(name);
	if (flow) {
		ring_open();
	} else {
		address = own_address();
		flow = core_named(CLAIM_NAME_ALL);
	}
	if (!own && icmp)
		load(echo_icmp, echo_icmp_end, ECHO_ICMP, address, 0);
	else if (!own)
		load(echo_udp, echo_udp_end, ECHO_UDP, address, port);
	printf("echo: ready, %s\n", own ? "in the application" : "at arrival");
	fflush(stdout);
	if (own && ring)
		ring_serve();
	else if (own && !icmp)
		socket_serve(port);
	watch();
}
