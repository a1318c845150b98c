package pki

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strings"
)

// Names are the subject alternative names of a certificate.
// https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.6
type Names struct {
	// DNS names in lower case; the first label may be a wildcard.
	DNS []string
	// IPs are addresses in their shortest form, 4 or 16 bytes.
	IPs []net.IP
	// URIs have a scheme and a host.
	URIs []*url.URL
	// Emails are mailboxes.
	Emails []string
}

// ParseNames reads names and tells their type by their form: an IP address, a URI if there is "://" in it, an email address if there is
// an "@", or else a DNS name. One that is named twice counts once. It wraps ErrInvalidName or ErrTooLarge.
func ParseNames(texts []string) (Names, error) {
	var n Names
	seen := map[string]bool{}
	for _, text := range texts {
		if err := n.add(text, seen); err != nil {
			return Names{}, err
		}
	}
	if n.Len() > MaximumNames {
		return Names{}, fmt.Errorf("%w: %d names; a certificate has at most %d", ErrTooLarge, n.Len(), MaximumNames)
	}
	return n, nil
}

// Len is the number of names.
func (n Names) Len() int { return len(n.DNS) + len(n.IPs) + len(n.URIs) + len(n.Emails) }

// Texts lists the names as ParseNames reads them.
func (n Names) Texts() []string {
	out := slices.Clone(n.DNS)
	for _, ip := range n.IPs {
		out = append(out, ip.String())
	}
	for _, u := range n.URIs {
		out = append(out, u.String())
	}
	return append(out, n.Emails...)
}

// NamesOf are the subject alternative names of a certificate.
func NamesOf(c *x509.Certificate) Names {
	return Names{DNS: c.DNSNames, IPs: c.IPAddresses, URIs: c.URIs, Emails: c.EmailAddresses}
}

func (n *Names) add(text string, seen map[string]bool) error {
	if ip := net.ParseIP(text); ip != nil {
		if four := ip.To4(); four != nil {
			ip = four
		}
		if !again(seen, ip.String()) {
			n.IPs = append(n.IPs, ip)
		}
		return nil
	}
	switch {
	case strings.Contains(text, "://"):
		u, err := parseURI(text)
		if err != nil {
			return err
		}
		if !again(seen, u.String()) {
			n.URIs = append(n.URIs, u)
		}
	case strings.Contains(text, "@"):
		if err := checkEmail(text); err != nil {
			return err
		}
		if !again(seen, text) {
			n.Emails = append(n.Emails, text)
		}
	default:
		name, err := parseDNS(text)
		if err != nil {
			return err
		}
		if !again(seen, name) {
			n.DNS = append(n.DNS, name)
		}
	}
	return nil
}

func again(seen map[string]bool, text string) bool {
	was := seen[text]
	seen[text] = true
	return was
}

// maximumDNS is the length of a DNS name (RFC 1035), maximumLabel that of one of its labels.
const (
	maximumDNS   = 253
	maximumLabel = 63
)

// parseDNS reads a DNS name of letters, digits and dashes, whose first label may be a wildcard as a whole, and puts it into lower case.
// A wildcard of one label alone would be all names, and a last label of digits would be an IP address that nobody wrote.
// https://www.rfc-editor.org/rfc/rfc6125#section-6.4.3
func parseDNS(text string) (string, error) {
	name := strings.ToLower(text)
	if len(name) > maximumDNS {
		return "", fmt.Errorf("%w: a DNS name of %d characters; it has at most %d", ErrInvalidName, len(name), maximumDNS)
	}
	rest, wildcard := strings.CutPrefix(name, "*.")
	labels := strings.Split(rest, ".")
	for _, label := range labels {
		if !isLabel(label) {
			return "", fmt.Errorf("%w: %q is no DNS name: each label has letters, digits and dashes within; write other scripts in Punycode, "+
				"and a wildcard as the whole first label", ErrInvalidName, text)
		}
	}
	if wildcard && len(labels) < 2 {
		return "", fmt.Errorf("%w: %q stands for too much: a wildcard has at least two labels after it", ErrInvalidName, text)
	}
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return "", fmt.Errorf("%w: %q ends in a label of digits, as an IP address does and a DNS name does not", ErrInvalidName, text)
	}
	return name, nil
}

func isLabel(label string) bool {
	if label == "" || len(label) > maximumLabel || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// maximumURI is the length of a URI.
const maximumURI = 1024

// parseURI reads a URI with a scheme and a host that is a DNS name or an IP address, such as spiffe://trust.domain/workload.
func parseURI(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case len(text) > maximumURI:
		return nil, fmt.Errorf("%w: a URI of %d characters; it has at most %d", ErrInvalidName, len(text), maximumURI)
	case err != nil || u.Scheme == "" || u.Hostname() == "" || u.User != nil || !isPrintableASCII(text):
		return nil, fmt.Errorf("%w: %q is no URI with a scheme and a host and without a user, for example spiffe://example.org/shop", ErrInvalidName, text)
	}
	if net.ParseIP(u.Hostname()) == nil {
		if _, err := parseDNS(u.Hostname()); err != nil {
			return nil, fmt.Errorf("the host of %q: %w", text, err)
		}
	}
	return u, nil
}

// checkEmail says whether a text is a mailbox of printable ASCII, as a certificate's email address is (RFC 5280, rfc822Name).
func checkEmail(text string) error {
	address, err := mail.ParseAddress(text)
	if err != nil || address.Address != text || address.Name != "" || len(text) > 254 || !isPrintableASCII(text) || strings.ContainsAny(text, `"\ `) {
		return fmt.Errorf("%w: %q is no email address, for example ops@example.com", ErrInvalidName, text)
	}
	_, domain, _ := strings.Cut(text, "@")
	if _, err := parseDNS(domain); err != nil || strings.HasPrefix(domain, "*") {
		return fmt.Errorf("%w: the domain of %q is no DNS name", ErrInvalidName, text)
	}
	return nil
}

func isPrintableASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}
