# Runs the command and passes on what it says. It writes into pipes, so that it
# does not take the serial ports for a terminal, and has a session of its own.
# What its children still write after its end is waited for a second, not for
# ever. `stty` drains the port before it changes anything.
for port in 1 2 3; do stty -F /dev/ttyS$port raw -echo; done
mkfifo /run/out /run/err
cat /run/out >/dev/ttyS1 & out=$!
cat /run/err >/dev/ttyS2 & err=$!
echo ready >/dev/ttyS3
cd /work
setsid /command </dev/null >/run/out 2>/run/err
status=$?
for wait in 1 2 3 4 5 6 7 8 9 10; do
    kill -0 $out 2>/dev/null || kill -0 $err 2>/dev/null || break
    sleep 0.1
done
for port in 1 2; do stty -F /dev/ttyS$port raw -echo; done
echo "exit $status" >/dev/ttyS3
stty -F /dev/ttyS3 raw -echo
busybox reboot -f
