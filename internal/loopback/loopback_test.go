package loopback_test

import (
	"net"
	"strconv"
	"testing"

	"strongroom.dev/strongroom/internal/loopback"
)

func TestAFreeAddressCanBeListenedOnAndIsNoneThatConnectionsAreGiven(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		address, err := loopback.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatalf("%s was free: %v", address, err)
		}
		defer l.Close()
		if seen[address] {
			t.Errorf("%s is given out though it is listened on", address)
		}
		seen[address] = true
		if port := l.Addr().(*net.TCPAddr).Port; port < 20000 || port >= 32768 {
			t.Errorf("%d", port)
		}
	}
}

func TestAFreePortCanBeListenedOn(t *testing.T) {
	port, err := loopback.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(loopback.Host, strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}
