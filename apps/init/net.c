/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who gets which packets: the program with net = own holds the machine's address and all that nobody else has (with net
 * = device all, into its own frames), those with net = share have their ports. When there are any, one page tells all
 * of them the address that the holder gets.
 */
#include <string.h>
#include "apps/init/init.h"
#include "libos/net/claim.h"
#include "libos/vm/vm.h"

static struct netinfo *page;	/* NULL: nobody shares */
static exo_cap_t page_cap;
static uint32_t page_first;

static uint8_t protocol_of(const struct conf_port *port)
{
	return port->udp ? CLAIM_UDP : CLAIM_TCP;
}

/* Those that are its alone: of a port of which it has some clients, others may have the rest. */
static unsigned ports_of(const struct conf_program *program, struct netinfo_port *ports, unsigned max)
{
	unsigned count = 0;

	for (unsigned i = 0; i < program->port_count && count < max; i++) {
		const struct conf_port *port = &program->port[i];

		if (!port->parts)
			ports[count++] = (struct netinfo_port){ .protocol = protocol_of(port), .first = port->number, .count = 1 };
	}
	return count;
}

static int64_t make_parts(struct child *child, const struct conf_program *program, const struct claim_set *holder)
{
	int64_t result = 0;

	for (unsigned i = 0; i < program->port_count && result == 0; i++) {
		const struct conf_port *port = &program->port[i];

		if (port->parts)
			result = claim_make_part(&child->claims, holder, protocol_of(port), port->number, port->part, port->parts,
			    &child->claims_bag);
	}
	return result;
}

static unsigned sharers(const struct conf *conf)
{
	unsigned count = 0;

	for (unsigned i = 0; i < conf->count; i++)
		count += conf->program[i].net == CONF_NET_SHARE;
	return count;
}

static void make_page(const struct conf *conf)
{
	struct netinfo_port given[NETINFO_GIVEN_MAX];
	unsigned count = 0;
	struct frame frame;
	exo_vaddr_t va = vm_addresses(EXO_PAGE_SIZE);

	for (unsigned i = 0; i < conf->count; i++)
		if (conf->program[i].net == CONF_NET_SHARE)
			count += ports_of(&conf->program[i], given + count, NETINFO_GIVEN_MAX - count);
	if (!va || !frame_alloc_run(1, &frame) ||
	    space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, frame.cap, frame.first, 1))
		init_fail("no memory for the page that programs with net = share read");
	page = (struct netinfo *)va;
	netinfo_make(page, given, count);
	page_cap = frame.cap;
	page_first = frame.first;
}

static void claim_failed(const struct conf_program *program, int64_t error)
{
	if (error)
		init_fail("program %s: cannot claim its packets: %s", program->name, exo_error_text(error));
}

/* What the key `claim` asks for: below the address's holder, if there is one, else below the device. */
static void make_claims(struct child *children, const struct conf *conf, exo_cap_t parent)
{
	for (unsigned i = 0; i < conf->count; i++) {
		const struct conf_program *program = &conf->program[i];

		if (program->claim_count && (!parent || !claim_mac()))
			init_fail("program %s: the machine has no network device", program->name);
		for (unsigned j = 0; j < program->claim_count; j++) {
			struct exo_claim claim;

			memset(&claim, 0, sizeof(claim));
			conf_claim(program->claim[j], &claim, NULL);
			claim_failed(program, claim_make_one(&children[i].claims, parent, &claim,
							     &children[i].claims_bag));
		}
	}
}

static void make_owner(struct child *child, const struct conf_program *program)
{
	claim_failed(program, claim_make_owner(&child->claims, core_named(EXO_NAME_NET), &child->claims_bag));
}

bool net_next(struct child *child)
{
	struct spawn_grant grant;

	if (!child->waits)
		return false;
	child->held = child->waits = false;
	make_owner(child, child->program);
	grant = (struct spawn_grant){ .name = child->claims.flow[0].name, .source = child->claims.flow[0].cap,
		.rights = EXO_RIGHT_READ | EXO_RIGHT_BIND };
	if (spawn_grant(&child->spawn, &grant))
		init_fail("program %s: %s", child->program->name, child->spawn.error);
	return true;
}

void net_make(struct child *children, const struct conf *conf)
{
	exo_cap_t root = core_named(EXO_NAME_NET);
	bool owner = false;
	struct netinfo_port ports[CONF_PORTS_MAX];
	const struct child *holder = NULL;

	for (unsigned i = 0; i < conf->count; i++) {
		const struct conf_program *program = &conf->program[i];
		children[i].claims.budget = program->budget;
		if (program->net == CONF_NET_NONE)
			continue;
		if (!root || !claim_mac())
			init_fail("program %s: the machine has no network device", program->name);
		if (program->net == CONF_NET_DEVICE && owner) {
			children[i].held = children[i].waits = true;
		} else if (program->net == CONF_NET_DEVICE) {
			owner = true;
			make_owner(&children[i], program);
		} else if (program->net == CONF_NET_OWN) {
			holder = &children[i];
			claim_failed(program, claim_make_holder(&children[i].claims, root, sharers(conf) != 0,
								&children[i].claims_bag));
		}
	}
	make_claims(children, conf, holder ? holder->claims.flow[0].cap : root);
	if (!sharers(conf))
		return;
	make_page(conf);
	for (unsigned i = 0; i < conf->count; i++) {
		const struct conf_program *program = &conf->program[i];
		if (program->net != CONF_NET_SHARE)
			continue;
		if (!holder)
			init_fail("program %s: net = share, but no program has net = own", program->name);
		claim_failed(program, claim_make_ports(&children[i].claims, &holder->claims, ports,
						       ports_of(program, ports, CONF_PORTS_MAX),
						       &children[i].claims_bag));
		claim_failed(program, make_parts(&children[i], program, &holder->claims));
	}
}

void net_grant(struct child *child)
{
	/* Who is told how many flows it may have may make them: below its own, of what these claim. */
	uint64_t claim = child->program->limit_flows ? EXO_RIGHT_CLAIM : 0;

	for (unsigned i = 0; i < child->claims.count; i++)
		program_grant(child, child->claims.flow[i].name, child->claims.flow[i].cap,
			      EXO_RIGHT_READ | EXO_RIGHT_BIND | claim, 0, 0);
	if (child->claims.count && page)
		program_grant(child, NETINFO_NAME, page_cap, child->program->net == CONF_NET_OWN ?
			      EXO_RIGHT_READ | EXO_RIGHT_WRITE : EXO_RIGHT_READ, page_first, 1);
}

/* The ports of a program that has ended are the holder's again: it refuses connections to them. */
static void take_back(const struct conf_program *program)
{
	struct netinfo_port ports[CONF_PORTS_MAX];
	unsigned count = ports_of(program, ports, CONF_PORTS_MAX);

	for (unsigned i = 0; i < count; i++)
		netinfo_take_back(page, &ports[i]);
}

/* The address itself outlives its holder while others have ports of it: their flows lie below its. */
uint32_t net_drop(struct child *child)
{
	uint32_t frames = frame_bag_count(&child->claims_bag);

	if (page && child->program->net == CONF_NET_OWN)
		return 0;
	claim_drop(&child->claims);
	if (page && child->program->net == CONF_NET_SHARE)
		take_back(child->program);
	frame_bag_drop(&child->claims_bag);
	return frames;
}
