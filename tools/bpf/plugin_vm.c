/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's part of the plugin: program and memory go into a folder, which `exo run` gives to the guest program
 * bpf_vm (tools/bpf/vm.c); what that says of the result is relayed. EXO_TOOL names the runner, else it is `exo`.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tools/bpf/tool.h"

#define SECONDS	"60"

static bool write_file(const char *folder, const char *name, const struct bytes *bytes)
{
	char path[256];
	FILE *file;
	bool good;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "wb");
	if (!file)
		return false;
	good = bytes->count == 0 || fwrite(bytes->at, 1, bytes->count, file) == bytes->count;
	return fclose(file) == 0 && good;
}

static void remove_folder(const char *folder)
{
	static const char *const names[] = { "program", "memory" };
	char path[256];

	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
}

/* In the child: the console goes to the pipe, and nothing comes from it. */
static void boot(const char *folder, const char *how, int output)
{
	const char *tool = getenv("EXO_TOOL");
	int nothing = open("/dev/null", O_RDONLY);

	dup2(nothing, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	execlp(tool ? tool : "exo", "exo", "run", "--quiet", "--timeout", SECONDS, "-v", folder, "bpf_vm", "--", how,
	       (char *)NULL);
	fprintf(stderr, "%s: %s\n", tool ? tool : "exo", strerror(errno));
	_exit(1);
}

/* The result stands on a line "r0 HEX"; else all that was said is the reason. */
static int relay(FILE *console)
{
	char line[512], said[4096] = "";
	int status = 1;

	while (fgets(line, sizeof(line), console)) {
		char *text = strncmp(line, "r0 ", 3) == 0 ? line + 3 : NULL;

		line[strcspn(line, "\r\n")] = '\0';
		if (text) {
			printf("%s\n", text);
			status = 0;
		} else if (strlen(said) + strlen(line) + 3 < sizeof(said)) {
			strcat(strcat(said, said[0] ? "; " : ""), line);
		}
	}
	return status ? complain("%s", said[0] ? said : "the machine said nothing") : 0;
}

int plugin_vm(const struct bytes *program, const struct bytes *memory, const char *how)
{
	const char *place = getenv("TMPDIR");
	int ends[2], status;
	char folder[200];
	FILE *console;
	pid_t child;

	snprintf(folder, sizeof(folder), "%s/exo-bpf-XXXXXX", place && strlen(place) < 150 ? place : "/tmp");
	if (!mkdtemp(folder))
		return complain("%s: %s", folder, strerror(errno));
	if (!write_file(folder, "program", program) || !write_file(folder, "memory", memory) || pipe(ends) < 0) {
		remove_folder(folder);
		return complain("%s: cannot be written", folder);
	}
	child = fork();
	if (child == 0)
		boot(folder, how, ends[1]);
	close(ends[1]);
	console = fdopen(ends[0], "r");
	status = child > 0 && console ? relay(console) : complain("no process for the machine");
	if (console)
		fclose(console);
	if (child > 0)
		waitpid(child, NULL, 0);
	remove_folder(folder);
	return status;
}
