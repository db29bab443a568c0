/*
 * PID 1 of the lesson "Why can't I kill PID 1 in my container?", the one that
 * cannot: it installs no handler, so the kernel drops every signal from inside.
 */
#include <unistd.h>

int main(void)
{
	for (;;)
		pause();
}
