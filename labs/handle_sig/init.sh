#!/bin/bash
# PID 1 of the lesson "Why can't I kill PID 1 in my container?", as it is in
# most images: a script that installs no handler.
while true
do
	sleep 100
done
