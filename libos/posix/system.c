/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of the system and of who uses it. The host's name is what /etc/hostname says, else "exo".
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <exo/types.h>
#include "libos/posix/wire.h"

static void host_name(char *name, size_t bytes)
{
	int fd = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
	ssize_t count = fd < 0 ? 0 : read(fd, name, bytes - 1);

	if (fd >= 0)
		close(fd);
	name[count > 0 ? count : 0] = '\0';
	name[strcspn(name, " \t\r\n")] = '\0';
	if (!name[0])
		strcpy(name, "exo");
}

int gethostname(char *name, size_t bytes)
{
	char whole[HOST_NAME_MAX + 1];

	host_name(whole, sizeof(whole));
	if (strlen(whole) >= bytes) {
		memcpy(name, whole, bytes);
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(name, whole);
	return 0;
}

int uname(struct utsname *out)
{
	memset(out, 0, sizeof(*out));
	strcpy(out->sysname, "Exo");
	host_name(out->nodename, sizeof(out->nodename));
	snprintf(out->release, sizeof(out->release), "%d.%d", EXO_ABI_MAJOR, EXO_ABI_MINOR);
	snprintf(out->version, sizeof(out->version), "posix %d.%d", WIRE_MAJOR, WIRE_MINOR);
	strcpy(out->machine, "x86_64");
	return 0;
}

int getlogin_r(char *name, size_t bytes)
{
	const struct passwd *user;
	const char *login = getenv("LOGNAME");

	if (!login || !*login) {
		user = getpwuid(getuid());
		login = user ? user->pw_name : NULL;
	}
	if (!login)
		return ENXIO;
	if (strlen(login) >= bytes)
		return ERANGE;
	strcpy(name, login);
	return 0;
}

char *getlogin(void)
{
	static char name[LOGIN_NAME_MAX];
	int error = getlogin_r(name, sizeof(name));

	if (!error)
		return name;
	errno = error;
	return NULL;
}

char *ctermid(char *name)
{
	static char own[] = "/dev/tty";

	return name ? strcpy(name, own) : own;
}
