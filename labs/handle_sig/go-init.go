// go-init is a PID 1 that only sleeps. Go's runtime itself catches SIGTERM,
// resets it to the default and raises it again; for the PID 1 of a namespace the
// kernel drops that second one, and the runtime exits with status 2.
package main

import (
	"fmt"
	"time"
)

func main() {
	// The runtime has its handlers before main begins.
	fmt.Println("ready")
	for {
		time.Sleep(time.Hour)
	}
}
