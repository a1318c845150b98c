// Package admission bounds what those who have not yet said who they are may have of what all share: connections, and memory for
// their requests. Both are bounded in total, and for each source. What requests may have of memory whose caller is known is bounded in
// total, and for each account.
package admission

import "net/netip"

// Source is whom connections and memory are counted by: an IPv4 address, or the /64 network of an IPv6 address, since whoever has
// one address of such a network has all of them (RFC 6177). The zero Source is that of connections without an IP address.
type Source netip.Prefix

// subnet is the length of an IPv6 prefix that one site has at least.
const subnet = 64

// SourceOf is the source of a connection from an address.
func SourceOf(a netip.Addr) Source {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = subnet
	}
	prefix, err := a.Prefix(bits)
	if err != nil { // the zero address
		return Source{}
	}
	return Source(prefix)
}

// DefaultShare is the part of all, in percent, that one source may have: four sources together can use up everything, and one
// cannot.
const DefaultShare = 25

// part is a source's share of a number, and one at least.
func part(of int64, percent int) int64 { return max(of*int64(percent)/100, 1) }
