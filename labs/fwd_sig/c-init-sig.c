/*
 * PID 1 of the lesson "Why was my process in the container killed by force?":
 * it handles SIGTERM and exits, and its children, which only sleep, are killed
 * by the kernel because it did. Static and without arguments it is the lesson;
 * the options are its variants.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t asked_to_end;

static void on_sigterm(int number)
{
	(void)number;
	asked_to_end = 1;
}

static void usage(void)
{
	fputs("usage: c-init-sig [--forward] [--slow SECONDS] [N]\n"
	      "  N              children that only sleep (default 1)\n"
	      "  --forward      send SIGTERM on to the children and wait for them\n"
	      "  --slow SECONDS take so long to end once SIGTERM has come\n",
	      stderr);
	exit(2);
}

static long number(const char *text)
{
	char *end;
	long value = text ? strtol(text, &end, 10) : -1;

	if (value < 0 || value > 100000 || *end || end == text)
		usage();
	return value;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

int main(int argc, char **argv)
{
	long count = 1, slow = 0;
	int forward = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--forward"))
			forward = 1;
		else if (!strcmp(argv[i], "--slow"))
			slow = number(argv[++i]);
		else
			count = number(argv[i]);
	}

	pid_t *children = calloc(count ? count : 1, sizeof(*children));
	if (!children)
		fail("calloc");
	for (long i = 0; i < count; i++) {
		children[i] = fork();
		if (children[i] < 0)
			fail("fork");
		if (children[i] == 0)
			for (;;)
				pause(); /* the default action of SIGTERM ends it */
	}

	/* Blocked but for sigsuspend, so that it cannot come between test and wait. */
	sigset_t term, before;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &term, &before))
		fail("sigprocmask");
	struct sigaction action = { .sa_handler = on_sigterm };
	if (sigaction(SIGTERM, &action, NULL))
		fail("sigaction");
	printf("PID %d, %ld children, ready for SIGTERM\n", (int)getpid(), count);
	fflush(stdout);
	while (!asked_to_end)
		sigsuspend(&before);

	printf("SIGTERM received\n");
	fflush(stdout);
	for (unsigned int left = slow; left;)
		left = sleep(left);
	if (forward) {
		for (long i = 0; i < count; i++)
			kill(children[i], SIGTERM);
		while (wait(NULL) > 0 || errno == EINTR)
			;
	}
	return 0;
}
