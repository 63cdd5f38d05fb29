/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys of a configuration and their values. Each function leaves strings where they lie in the reader's
 * buffer, cut off with NULs. All return 0, or -1 with the error told.
 */
#include <string.h>

#include "apps/init/conf_parts.h"

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Decimal digits at *p, at most max. Returns 0 without a digit or above max. */
static int number(const char **p, uint64_t max, uint64_t *value)
{
	const char *start = *p;
	uint64_t v = 0;

	for (; is_digit(**p); ++*p) {
		uint64_t digit = (uint64_t)(**p - '0');

		if (digit > max || v > (max - digit) / 10)
			return 0;
		v = v * 10 + digit;
	}
	*value = v;
	return *p > start;
}

/* Bytes: a number with B, K, M or G, also written KB or KiB; without a unit it counts in MiB. */
static int take_size(struct reader *r, char *value, uint64_t *bytes)
{
	static const char units[] = "bBkKmMgG";
	static const unsigned char shifts[] = { 0, 0, 10, 10, 20, 20, 30, 30 };
	const char *p = value, *unit;
	unsigned shift = 20;

	if (!number(&p, UINT64_MAX >> 30, bytes))
		return conf_fail_value(r, value, "is not a size; write for example 64M, 1G or 5000K");
	unit = *p ? strchr(units, *p) : NULL;
	if (unit) {
		shift = shifts[unit - units];
		p++;
		if (shift && *p == 'i')
			p++;
		if (shift && (*p == 'b' || *p == 'B'))
			p++;
	}
	if (*p || !*bytes)
		return conf_fail_value(r, value, "is not a size; write for example 64M, 1G or 5000K");
	*bytes <<= shift;
	return 0;
}

static int take_number(struct reader *r, char *value, unsigned min, unsigned max, unsigned *count)
{
	const char *p = value;
	uint64_t v;

	if (!number(&p, max, &v) || *p || v < min) {
		conf_fail_value(r, value, min ? "is not a whole number from 1 to " :
			   "is not a whole number from 0 to ");
		conf_append_number(r->error, max);
		return -1;
	}
	*count = (unsigned)v;
	return 0;
}

int conf_take_count(struct reader *r, char *value, unsigned max, unsigned *count)
{
	return take_number(r, value, 1, max, count);
}

static int take_yes_no(struct reader *r, char *value, int *yes)
{
	*yes = !strcmp(value, "yes");
	return *yes || !strcmp(value, "no") ? 0 : conf_fail_value(r, value, "is neither yes nor no");
}

/* A time span: 30, 0.5, 2m, 1h; kept in milliseconds, rounded up. */
static int take_span(struct reader *r, char *value, uint64_t *ms)
{
	static const char says[] = "is not a time span; write seconds (30, 0.5), or 2m, 1h";
	const char *p = value;
	uint64_t whole, micro = 0, unit = 1;

	if (!number(&p, 999999999, &whole))
		return conf_fail_value(r, value, says);
	if (*p == '.' && is_digit(p[1]))
		for (uint64_t place = 100000; is_digit(*++p); place /= 10) {
			if (!place)
				return conf_fail_value(r, value, says);
			micro += place * (uint64_t)(*p - '0');
		}
	if (*p == 's' || *p == 'm' || *p == 'h')
		unit = *p == 's' ? 1 : *p == 'm' ? 60 : 3600, p++;
	if (*p || !(whole | micro))
		return conf_fail_value(r, value, says);
	*ms = ((whole * 1000000 + micro) * unit + 999) / 1000;
	return 0;
}

int conf_take_word(struct reader *r, char *value, const char *what, const char *const *known)
{
	for (int i = 0; known[i]; i++)
		if (!strcmp(value, known[i]))
			return i;
	return conf_fail_unknown(r, value, what, value, known);
}

static int take_port_number(struct reader *r, const char *value, const char *at, unsigned low, uint16_t *port)
{
	uint64_t v;

	if (!number(&at, 65535, &v) || *at || v < low)
		return conf_fail_value(r, value, "does not end with a port from 1 to 65535");
	*port = (uint16_t)v;
	return 0;
}

static int machine_memory(struct reader *r, char *value)
{
	return take_size(r, value, &r->c->machine.memory);
}

static int machine_cpus(struct reader *r, char *value)
{
	return conf_take_count(r, value, CONF_CPUS_MAX, &r->c->machine.cpus);
}

static int machine_machine(struct reader *r, char *value)
{
	static const char *const known[] = { "microvm", "q35", "pc", NULL };

	r->c->machine.machine = value;
	return conf_take_word(r, value, "unknown machine ", known) < 0 ? -1 : 0;
}

static int machine_cpu(struct reader *r, char *value)
{
	r->c->machine.cpu = value;
	return 0;
}

/* [ADDRESS:]HOST:GUEST[/tcp|/udp]. The address is left to the runner. */
static int machine_publish(struct reader *r, char *value)
{
	static const char *const protocols[] = { "tcp", "udp", NULL };
	struct conf_machine *m = &r->c->machine;
	struct conf_publish *p = &m->publish[m->publish_count];
	char *slash = strchr(value, '/'), *guest, *host;
	int udp = 0;

	if (m->publish_count == CONF_PUBLISH_MAX)
		return conf_fail(r, value, "too many published ports", NULL, NULL, NULL);
	if (slash) {
		*slash = 0;
		udp = conf_take_word(r, slash + 1, "unknown protocol ", protocols);
		if (udp < 0)
			return -1;
	}
	guest = strrchr(value, ':');
	if (!guest || guest == value)
		return conf_fail_value(r, value, "is not [ADDRESS:]HOST:GUEST; write for example 8080:80");
	if (take_port_number(r, value, guest + 1, 1, &p->guest))
		return -1;
	*guest = 0;
	host = strrchr(value, ':');
	if (take_port_number(r, value, host ? host + 1 : value, 0, &p->host))
		return -1;
	if (host)
		*host = 0;
	p->address = host ? value : NULL;
	p->udp = (uint8_t)udp;
	m->publish_count++;
	return 0;
}

/* The end of a word of a disk's; two commas are one that ends nothing. */
static char *disk_word_end(char *p)
{
	while (*p && (*p != ',' || p[1] == ','))
		p += *p == ',' ? 2 : 1;
	return p;
}

/* FILE[,OPTION...]. What the options' values may be is left to the runner. */
static int machine_disk(struct reader *r, char *value)
{
	static const char *const known[] = { "driver", "readonly", "cache", "noflush", "sector", "queues", "iops", "bps",
		"blkdebug", "log", NULL };
	char *end = disk_word_end(value), *word;
	char more = *end;

	if (r->c->machine.disk_count++ == CONF_DISKS_MAX)
		return conf_fail(r, value, "too many disks; there may be 4", NULL, NULL, NULL);
	if (end == value)
		return conf_fail_value(r, value, "names no file");
	while (more) {
		word = end + 1;
		end = disk_word_end(word);
		more = *end;
		*end = 0;
		word[strcspn(word, "=")] = 0;
		if (conf_take_word(r, word, "unknown option of a disk ", known) < 0)
			return -1;
	}
	return 0;
}

static int machine_timeout(struct reader *r, char *value)
{
	return take_span(r, value, &r->c->machine.timeout_ms);
}

static int machine_randomize(struct reader *r, char *value)
{
	int yes;

	if (take_yes_no(r, value, &yes))
		return -1;
	r->c->machine.fixed = !yes;
	return 0;
}

static int program_image(struct reader *r, char *value)
{
	conf_current(r)->image = value;
	return value[strlen(value) - 1] == '/' ? conf_fail_value(r, value, "is a directory, not an image") : 0;
}

static int program_libos(struct reader *r, char *value)
{
	conf_current(r)->libos = value;
	return conf_is_name(value) ? 0 : conf_fail_value(r, value, "is not a libOS; write for example uni");
}

static int program_args(struct reader *r, char *value)
{
	unsigned column;
	int count = conf_split(value, NULL, CONF_ARGS_MAX, &column);

	conf_current(r)->args = value;
	if (count == -1)
		return conf_fail(r, value + column, "this quote is not closed", NULL, NULL, NULL);
	if (count == -2)
		return conf_fail(r, value + column, "too many arguments", NULL, NULL, NULL);
	return 0;
}

static int program_memory(struct reader *r, char *value)
{
	return take_size(r, value, &conf_current(r)->memory);
}

static int program_slices(struct reader *r, char *value)
{
	return conf_take_count(r, value, CONF_SLICES_MAX, &conf_current(r)->slices);
}

static int program_cpu(struct reader *r, char *value)
{
	return take_number(r, value, 0, CONF_CPUS_MAX - 1, &conf_current(r)->cpu);
}

static int program_guarantee(struct reader *r, char *value)
{
	return take_size(r, value, &conf_current(r)->guarantee);
}

static int program_guarantee_slices(struct reader *r, char *value)
{
	return conf_take_count(r, value, CONF_SLICES_MAX, &conf_current(r)->guarantee_slices);
}

static int program_limit_slices(struct reader *r, char *value)
{
	return conf_take_count(r, value, CONF_SLICES_MAX, &conf_current(r)->limit_slices);
}

static int program_limit_envs(struct reader *r, char *value)
{
	return conf_take_count(r, value, CONF_LIMIT_MAX, &conf_current(r)->limit_envs);
}

static int program_limit_flows(struct reader *r, char *value)
{
	return conf_take_count(r, value, CONF_LIMIT_MAX, &conf_current(r)->limit_flows);
}

static int program_limit_rings(struct reader *r, char *value)
{
	return conf_take_count(r, value, CONF_LIMIT_MAX, &conf_current(r)->limit_rings);
}

static int program_limit_shapes(struct reader *r, char *value)
{
	return conf_take_count(r, value, CONF_LIMIT_MAX, &conf_current(r)->limit_shapes);
}

static int program_limit_traces(struct reader *r, char *value)
{
	return conf_take_count(r, value, CONF_LIMIT_MAX, &conf_current(r)->limit_traces);
}

static int program_budget(struct reader *r, char *value)
{
	return conf_take_count(r, value, CONF_LIMIT_MAX, &conf_current(r)->budget);
}

static int program_answer(struct reader *r, char *value)
{
	return take_span(r, value, &conf_current(r)->answer_ms);
}

/* Another program's name, in one of its lists; `what` may be done to it. */
static int take_other(struct reader *r, char *value, const char **list, unsigned *count, unsigned max, unsigned letters,
		      const char *what)
{
	if (*count == max)
		return conf_fail(r, value, "too many programs to ", what, NULL, NULL);
	if (strlen(value) > letters) {
		conf_fail_value(r, value, "is too long a name to ");
		conf_append(r->error, what, strlen(what));
		conf_append(r->error, "; it may have ", 14);
		conf_append_number(r->error, letters);
		conf_append(r->error, " letters", 8);
		return -1;
	}
	list[(*count)++] = value;
	return 0;
}

static int program_demand(struct reader *r, char *value)
{
	struct conf_program *p = conf_current(r);

	r->demand_line[r->c->count - 1] = r->line;
	return take_other(r, value, p->demand, &p->demand_count, CONF_DEMANDS_MAX, CONF_DEMAND_NAME_MAX, "demand from");
}

static int program_observe(struct reader *r, char *value)
{
	struct conf_program *p = conf_current(r);

	r->observe_line[r->c->count - 1] = r->line;
	return take_other(r, value, p->observe, &p->observe_count, CONF_OBSERVES_MAX, CONF_OBSERVE_NAME_MAX, "observe");
}

static const struct conf_device known_devices[] = {
	{ "rtc", 0x70, 2, 8 },
	{ "com2", 0x2f8, 8, 3 },
	{ "lpt1", 0x378, 3, 7 },
	{ "video", 0x3b0, 0x30, -1 },
};

/* Hexadecimal digits at *p, with 0x before them or not; at most 0xffff. */
static int hex_port(const char **p, unsigned *value)
{
	const char *digits = "0123456789abcdef", *start, *digit;

	if ((*p)[0] == '0' && (*p)[1] == 'x')
		*p += 2;
	for (*value = 0, start = *p; **p && (digit = strchr(digits, **p)) && *value < 0x1000; ++*p)
		*value = *value * 16 + (unsigned)(digit - digits);
	return *p > start;
}

/* NAME, one of the known ones, or NAME:PORT-PORT[:LINE]. */
static int program_device(struct reader *r, char *value)
{
	static const char says[] = "is neither rtc, com2, lpt1, video nor NAME:PORT-PORT[:LINE]; write for example "
				   "com3:0x3e8-0x3ef:5";
	struct conf_program *p = conf_current(r);
	struct conf_device *device = &p->device[p->device_count];
	char *colon = strchr(value, ':');
	const char *at = colon ? colon + 1 : NULL;
	unsigned first, last;
	uint64_t line = 0;

	if (p->device_count == CONF_DEVICES_MAX)
		return conf_fail(r, value, "too many devices for one program", NULL, NULL, NULL);
	if (!colon) {
		for (unsigned i = 0; i < sizeof(known_devices) / sizeof(known_devices[0]); i++)
			if (!strcmp(value, known_devices[i].name)) {
				*device = known_devices[i];
				p->device_count++;
				return 0;
			}
		return conf_fail_value(r, value, says);
	}
	if (!hex_port(&at, &first) || *at++ != '-' || !hex_port(&at, &last) || last < first || last - first > 255 ||
	    (*at && (*at++ != ':' || !number(&at, 15, &line) || *at)) || colon - value > CONF_DEVICE_NAME_MAX)
		return conf_fail_value(r, value, says);
	*device = (struct conf_device){ value, (uint16_t)first, (uint16_t)(last - first + 1),
		at[-1] != ':' && strchr(colon + 1, ':') ? (int8_t)line : -1 };
	*colon = 0;
	if (!conf_is_name(value))
		return conf_fail_value(r, value, "is no device's name");
	p->device_count++;
	return 0;
}

/* A label of the directory, in one of a program's lists. */
static int take_label(struct reader *r, char *value, const char **list, unsigned *count, unsigned max)
{
	if (*count == max)
		return conf_fail(r, value, "too many labels for one program", NULL, NULL, NULL);
	if (!conf_is_name(value) || strlen(value) > CONF_LABEL_MAX) {
		conf_fail_value(r, value, "is not a label: letters, digits, . _ + -, at most ");
		conf_append_number(r->error, CONF_LABEL_MAX);
		return -1;
	}
	list[(*count)++] = value;
	return 0;
}

static int program_serve(struct reader *r, char *value)
{
	struct conf_program *p = conf_current(r);

	for (unsigned i = 0; i < r->c->count; i++)
		for (unsigned j = 0; j < r->c->program[i].serve_count; j++)
			if (!strcmp(r->c->program[i].serve[j], value))
				return conf_fail(r, value, "this label belongs already to program ",
					    r->c->program[i].name, NULL, NULL);
	return take_label(r, value, p->serve, &p->serve_count, CONF_SERVES_MAX);
}

static int program_use(struct reader *r, char *value)
{
	struct conf_program *p = conf_current(r);

	r->use_line[r->c->count - 1] = r->line;
	return take_label(r, value, p->use, &p->use_count, CONF_USES_MAX);
}

static int program_randomize(struct reader *r, char *value)
{
	return take_yes_no(r, value, &conf_current(r)->randomize);
}

static int program_seal(struct reader *r, char *value)
{
	return take_yes_no(r, value, &conf_current(r)->seal);
}

static int program_end_children(struct reader *r, char *value)
{
	return take_yes_no(r, value, &conf_current(r)->end_children);
}

static int program_show_addresses(struct reader *r, char *value)
{
	return take_yes_no(r, value, &conf_current(r)->show_addresses);
}

static int program_input(struct reader *r, char *value)
{
	return take_yes_no(r, value, &conf_current(r)->input);
}

static int program_net(struct reader *r, char *value)
{
	static const char *const known[] = { "none", "own", "share", "device", NULL };
	int net = conf_take_word(r, value, "unknown net ", known);

	if (net < 0)
		return -1;
	conf_current(r)->net = (enum conf_net)net;
	if (net == CONF_NET_OWN) {
		if (r->own_line)
			return conf_fail_twice(r, value, "net = own", "", r->own_line);
		r->own_line = r->line;
	}
	return 0;
}

/* The clients with which a port is shared, as "2of4" behind its number: part 1 of 4. */
static int take_part(struct reader *r, const char *value, char *slash, struct conf_port *port)
{
	const char *at = slash;
	uint64_t part, parts;

	port->part = port->parts = 0;
	if (!slash)
		return 0;
	*slash = 0;
	at++;
	if (!number(&at, CONF_PARTS_MAX, &part) || at[0] != 'o' || at[1] != 'f' || (at += 2, !number(&at, CONF_PARTS_MAX, &parts)) ||
	    *at || parts < 2 || (parts & (parts - 1)) || part < 1 || part > parts)
		return conf_fail(r, value, "a part of a port's clients is written 1of2, 2of4 and so on: of 2, 4, 8, 16", NULL, NULL, NULL);
	port->part = (uint8_t)(part - 1);
	port->parts = (uint8_t)parts;
	return 0;
}

/* Can one packet be for both? */
static int ports_meet(const struct conf_port *a, const struct conf_port *b)
{
	unsigned least = a->parts < b->parts ? a->parts : b->parts;

	return a->number == b->number && a->udp == b->udp && (!least || (a->part ^ b->part) % least == 0);
}

static int program_port(struct reader *r, char *value)
{
	static const char *const protocols[] = { "tcp", "udp", NULL };
	struct conf_program *p = conf_current(r);
	struct conf_port port;
	char *slash = strchr(value, '/');
	int udp;

	if (!slash)
		return conf_fail_value(r, value, "is not PROTOCOL/PORT; write for example tcp/80 or udp/53");
	if (p->port_count == CONF_PORTS_MAX)
		return conf_fail(r, value, "too many ports for one program", NULL, NULL, NULL);
	if (take_part(r, value, strchr(slash + 1, '/'), &port) || take_port_number(r, value, slash + 1, 1, &port.number))
		return -1;
	*slash = 0;
	udp = conf_take_word(r, value, "unknown protocol ", protocols);
	if (udp < 0)
		return -1;
	port.udp = (uint8_t)udp;
	for (unsigned i = 0; i < r->c->count; i++)
		for (unsigned j = 0; j < r->c->program[i].port_count; j++)
			if (ports_meet(&r->c->program[i].port[j], &port))
				return conf_fail(r, value, "this port belongs already to program ",
					    r->c->program[i].name, NULL, NULL);
	p->port[p->port_count++] = port;
	return 0;
}

int conf_check_path(struct reader *r, char *value)
{
	const char *p = value;

	if (value[0] != '/')
		return conf_fail_value(r, value, "does not begin with a slash");
	while ((p = strstr(p, "/.."))) {
		p += 3;
		if (!*p || *p == '/')
			return conf_fail_value(r, value, "has .. in it");
	}
	return 0;
}

static int program_files(struct reader *r, char *value)
{
	conf_current(r)->files = value;
	return conf_check_path(r, value);
}

static int program_volume(struct reader *r, char *value)
{
	struct conf_program *p = conf_current(r);
	char *colon = strrchr(value, ':');

	if (p->volume_count == CONF_VOLUMES_MAX)
		return conf_fail(r, value, "too many volumes for one program", NULL, NULL, NULL);
	if (!colon || colon == value)
		return conf_fail_value(r, value, "is not HOSTDIR:/GUESTPATH");
	if (conf_check_path(r, colon + 1))
		return -1;
	*colon = 0;
	p->volume[p->volume_count].host = value;
	p->volume[p->volume_count++].guest = colon + 1;
	return 0;
}

static int program_main(struct reader *r, char *value)
{
	int yes;

	if (take_yes_no(r, value, &yes))
		return -1;
	if (!yes)
		return 0;
	if (r->marked_line)
		return conf_fail_twice(r, value, "main = yes", "", r->marked_line);
	r->marked_line = r->line;
	r->c->main = r->c->count - 1;
	conf_current(r)->main = 1;
	return 0;
}

static int program_claim(struct reader *r, char *value)
{
	struct conf_program *program = conf_current(r);
	unsigned column;

	if (program->claim_count == CONF_CLAIMS_MAX)
		return conf_fail(r, value, "too many claims; a program may have 16", NULL, NULL, NULL);
	if (conf_claim(value, NULL, &column) < 0)
		return conf_fail(r, value + column, "not a term of a claim; write for example 12:2=0x800, "
				 "20:2&0x3fff!=0 or @14&15<<2+16:2=80", NULL, NULL, NULL);
	program->claim[program->claim_count++] = value;
	return 0;
}

const struct key conf_machine_keys[] = {
	{ "memory", 0, machine_memory },
	{ "cpus", 0, machine_cpus },
	{ "machine", 0, machine_machine },
	{ "cpu", 0, machine_cpu },
	{ "publish", KEY_MANY, machine_publish },
	{ "disk", KEY_MANY, machine_disk },
	{ "timeout", 0, machine_timeout },
	{ "randomize", 0, machine_randomize },
	{ NULL, 0, NULL },
};

const struct key conf_program_keys[] = {
	{ "image", 0, program_image },
	{ "libos", 0, program_libos },
	{ "args", KEY_EMPTY, program_args },
	{ "memory", 0, program_memory },
	{ "guarantee", 0, program_guarantee },
	{ "cpu", 0, program_cpu },
	{ "slices", 0, program_slices },
	{ "guarantee_slices", 0, program_guarantee_slices },
	{ "limit_slices", 0, program_limit_slices },
	{ "limit_envs", 0, program_limit_envs },
	{ "limit_flows", 0, program_limit_flows },
	{ "limit_rings", 0, program_limit_rings },
	{ "limit_shapes", 0, program_limit_shapes },
	{ "limit_traces", 0, program_limit_traces },
	{ "budget", 0, program_budget },
	{ "answer", 0, program_answer },
	{ "demand", KEY_MANY, program_demand },
	{ "observe", KEY_MANY, program_observe },
	{ "serve", KEY_MANY, program_serve },
	{ "use", KEY_MANY, program_use },
	{ "net", 0, program_net },
	{ "port", KEY_MANY, program_port },
	{ "claim", KEY_MANY, program_claim },
	{ "files", 0, program_files },
	{ "volume", KEY_MANY, program_volume },
	{ "main", 0, program_main },
	{ "randomize", 0, program_randomize },
	{ "seal", 0, program_seal },
	{ "end_children", 0, program_end_children },
	{ "show_addresses", 0, program_show_addresses },
	{ "input", 0, program_input },
	{ "device", KEY_MANY, program_device },
	{ "extent", KEY_MANY, conf_extent },
	{ "mount", KEY_MANY, conf_mount },
	{ "disk", 0, conf_disk },
	{ "disk_shares", 0, conf_disk_shares },
	{ NULL, 0, NULL },
};

_Static_assert(sizeof(conf_program_keys) / sizeof(conf_program_keys[0]) <= CONF_KEYS_MAX, "bits of `seen`");
