// Package child runs the PKCS#11 module in a process of its own: a crash of a vendor's library ends that process alone, requests
// in flight fail and say so, and another is started. The two talk by frames over a socket pair: see Conn and Serve.
//
// Secrets go through the socket and never by arguments or the environment.
package child
