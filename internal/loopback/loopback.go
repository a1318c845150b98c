// Package loopback chooses addresses of this machine for programs that are started with one.
package loopback

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Host is the address of IPv4's loopback.
const Host = "127.0.0.1"

// The ports that are chosen from lie below those that Linux gives out by itself, from 32768 on: any program's next connection may be given one of those between
// the choice and the use. https://docs.kernel.org/networking/ip-sysctl.html (ip_local_port_range)
const (
	firstPort = 20000
	lastPort  = 32767
	tries     = 100
)

var errNone = errors.New("no port of this machine is free: programs hold all that were tried")

// FreeAddress is a host and port of loopback that nobody listens on now. Whoever listens there first has it, so the caller must bear that it is taken when it is used.
func FreeAddress() (string, error) {
	var last error
	for range tries {
		address := net.JoinHostPort(Host, strconv.Itoa(firstPort+rand.IntN(lastPort-firstPort+1)))
		listener, err := net.Listen("tcp", address) //nolint:noctx // it does not wait
		if err != nil {
			last = err
			continue
		}
		return address, listener.Close()
	}
	return "", fmt.Errorf("%w: %w", errNone, last)
}

// FreePort is the port of a FreeAddress.
func FreePort() (int, error) {
	address, err := FreeAddress()
	if err != nil {
		return 0, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}
