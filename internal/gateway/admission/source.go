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

// DefaultShare is the part of all, in percent, that one source may have while it is alone.
const DefaultShare = 25

// room tells whether one who has so much may have more of what is left: no more than stands to the rest as the share does. Alone one gets
// percent of all, and each who comes then as much of what the others leave, so that the rest is never nothing: of three who have 34 percent
// alone a fourth is left 10 percent of all or more, and 20 when what the three have has changed hands.
// A. K. Choudhury, E. L. Hahne: Dynamic Queue Length Thresholds for Shared-Memory Packet Switches, IEEE/ACM ToN 6 (1998).
func room(percent int, has, left, more int64) bool {
	return more <= left && (has+more)*int64(100-percent) <= (left-more)*int64(percent)
}

// part is a source's share of a number, and one at least.
func part(of int64, percent int) int64 { return max(of*int64(percent)/100, 1) }
