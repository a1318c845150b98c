package pki

import (
	"crypto/x509"
	"fmt"
	"net"
	"strings"
)

// Constraints limit the names below an authority. A list that is empty limits nothing of its type; of a type that is permitted in part,
// the rest is excluded.
// https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.10
type Constraints struct {
	// PermittedDNS and ExcludedDNS are domains: with all names below them, or with a leading dot those names alone.
	PermittedDNS, ExcludedDNS []string
	// PermittedIPs and ExcludedIPs are ranges.
	PermittedIPs, ExcludedIPs []*net.IPNet
	// PermittedEmails and ExcludedEmails are mailboxes, hosts, or with a leading dot the hosts below a domain.
	PermittedEmails, ExcludedEmails []string
	// PermittedURIs and ExcludedURIs are hosts of URIs, or with a leading dot the hosts below a domain.
	PermittedURIs, ExcludedURIs []string
}

// ConstraintsOf are those of an authority's certificate.
func ConstraintsOf(c *x509.Certificate) Constraints {
	return Constraints{
		PermittedDNS: c.PermittedDNSDomains, ExcludedDNS: c.ExcludedDNSDomains,
		PermittedIPs: c.PermittedIPRanges, ExcludedIPs: c.ExcludedIPRanges,
		PermittedEmails: c.PermittedEmailAddresses, ExcludedEmails: c.ExcludedEmailAddresses,
		PermittedURIs: c.PermittedURIDomains, ExcludedURIs: c.ExcludedURIDomains,
	}
}

func (k Constraints) apply(t *x509.Certificate) {
	t.PermittedDNSDomains, t.ExcludedDNSDomains = k.PermittedDNS, k.ExcludedDNS
	t.PermittedIPRanges, t.ExcludedIPRanges = k.PermittedIPs, k.ExcludedIPs
	t.PermittedEmailAddresses, t.ExcludedEmailAddresses = k.PermittedEmails, k.ExcludedEmails
	t.PermittedURIDomains, t.ExcludedURIDomains = k.PermittedURIs, k.ExcludedURIs
	t.PermittedDNSDomainsCritical = true // of all types: the extension is one
}

// Check says whether all names are permitted. The error wraps ErrNotPermitted and names the first that is not.
func (k Constraints) Check(names Names) error {
	for _, name := range names.DNS {
		if err := judge(name, name, k.PermittedDNS, k.ExcludedDNS, matchesDomain); err != nil {
			return err
		}
		if err := judge(name, name, nil, k.ExcludedDNS, covers); err != nil {
			return err
		}
	}
	for _, ip := range names.IPs {
		if err := judge(ip.String(), ip, k.PermittedIPs, k.ExcludedIPs, matchesRange); err != nil {
			return err
		}
	}
	for _, email := range names.Emails {
		if err := judge(email, email, k.PermittedEmails, k.ExcludedEmails, matchesEmail); err != nil {
			return err
		}
	}
	for _, u := range names.URIs {
		if net.ParseIP(u.Hostname()) != nil && len(k.PermittedURIs)+len(k.ExcludedURIs) > 0 {
			return fmt.Errorf("%w: the host of %s is an IP address, which no constraint of URIs matches", ErrNotPermitted, u)
		}
		if err := judge(u.String(), u.Hostname(), k.PermittedURIs, k.ExcludedURIs, matchesHost); err != nil {
			return err
		}
	}
	return nil
}

// commonName is the common name that a certificate of names can have. Verifiers take it for a DNS name if there is none among the names, so
// that it has to be within the constraints, too. OpenSSL takes even an address for one: it is left out, since it is among the names.
// https://docs.openssl.org/3.0/man3/X509_check_host/
func (k Constraints) commonName(name string, names Names) (string, error) {
	if len(names.DNS) > 0 || len(k.PermittedDNS)+len(k.ExcludedDNS) == 0 {
		return name, nil
	}
	if net.ParseIP(name) != nil {
		return "", nil
	}
	if domain, err := parseDNS(name); err == nil && strings.Contains(domain, ".") { // one word is a person's or a service's name
		if err := k.Check(Names{DNS: []string{domain}}); err != nil {
			return "", fmt.Errorf("the common name is taken for a DNS name: %w", err)
		}
	}
	return name, nil
}

// judge looks for one name among what is excluded and what is permitted.
func judge[N, C any](shown string, name N, permitted, excluded []C, matches func(N, C) bool) error {
	for _, c := range excluded {
		if matches(name, c) {
			return fmt.Errorf("%w: %s is excluded by %v", ErrNotPermitted, shown, c)
		}
	}
	for _, c := range permitted {
		if matches(name, c) {
			return nil
		}
	}
	if len(permitted) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s is outside of %v", ErrNotPermitted, shown, permitted)
}

// matchesDomain tells whether a DNS name is a domain or below it; with a leading dot, below it alone.
func matchesDomain(name, domain string) bool {
	name, domain = strings.ToLower(name), strings.ToLower(domain)
	if below, found := strings.CutPrefix(domain, "."); found {
		return strings.HasSuffix(name, "."+below)
	}
	return domain == "" || name == domain || strings.HasSuffix(name, "."+domain)
}

// covers tells whether a wildcard stands, among others, for a domain: that must not be excluded either.
func covers(name, domain string) bool {
	wild, isWildcard := strings.CutPrefix(name, "*.")
	_, parent, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(domain), "."), ".")
	return isWildcard && strings.EqualFold(parent, wild)
}

// matchesHost is matchesDomain for the constraints of hosts: without a leading dot the host itself alone.
func matchesHost(host, constraint string) bool {
	if constraint == "" || strings.HasPrefix(constraint, ".") {
		return matchesDomain(host, constraint)
	}
	return strings.EqualFold(host, constraint)
}

func matchesEmail(email, constraint string) bool {
	if strings.Contains(constraint, "@") {
		local, host, _ := strings.Cut(email, "@")
		wantLocal, wantHost, _ := strings.Cut(constraint, "@")
		return local == wantLocal && strings.EqualFold(host, wantHost)
	}
	_, host, _ := strings.Cut(email, "@")
	return matchesHost(host, constraint)
}

func matchesRange(ip net.IP, within *net.IPNet) bool {
	return len(ip) == len(within.IP) && within.Contains(ip)
}
