/*
 * PID 1 of the lesson "Why can't I kill PID 1 in my container?", the one that
 * can be asked to end: it has a handler for SIGTERM, which prints and exits.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void on_sigterm(int number)
{
	static const char said[] = "SIGTERM received\n";

	(void)number;
	/* write and _exit, because printf and exit must not be called here */
	if (write(STDOUT_FILENO, said, sizeof(said) - 1) < 0)
		_exit(1);
	_exit(0);
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_sigterm };

	if (sigaction(SIGTERM, &action, NULL)) {
		perror("sigaction");
		return 1;
	}
	for (;;)
		pause();
}
