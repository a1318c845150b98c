package server_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/internal/core/trail"
)

// worst are bodies of a mebibyte that are made of the parts of which most is made. The service and its signing name are Secrets Manager's.
func worst() []raw {
	const size = 1 << 20
	fill := func(before, part, after string) string {
		return before + strings.TrimSuffix(strings.Repeat(part, (size-len(before)-len(after))/len(part)), ",") + after
	}
	of := func(operation, body string) raw {
		return raw{target: "secretsmanager." + operation, body: body, service: "secretsmanager"}
	}
	entries := strings.TrimSuffix(strings.Repeat(`{"Values":[""]},`, 5400), ",")
	return []raw{
		of("ListSecrets", fill(`{"Filters":[`, `{},`, `]}`)),
		of("ListSecrets", fill(`{"Filters":[`, `{"Values":["","","",""]},`, `]}`)),
		of("ListSecrets", fill(`{"Filters":[`+entries+`],"NextToken":"`, `a`, `"}`)),
		of("CreateSecret", fill(`{"Name":"a","ClientRequestToken":"00000000-0000-0000-0000-000000000000","SecretString":"`, `a`, `"}`)),
		of("TagResource", fill(`{"SecretId":"a","Tags":[`, `{"Key":"k"},`, `]}`)),
		{rpc: "TrentService/Encrypt", body: "\xbf\x61X\x9f" + strings.Repeat("\xa0", 200<<10) + "\xff\xff"},
	}
}

// live is what the program has in memory and still needs.
func live() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

var _ = Describe("The memory of authenticated requests", func() {
	It("is bounded whatever 64 connections of one caller send, and what is too much is to be tried again", func() {
		const connections, most = 64, 160 << 20
		shared := door
		DeferCleanup(func() { door = shared })
		door = httptest.NewUnstartedServer(serverOf(trail.NewWriter(records), 100)) // over HTTP/1.1: a connection a request
		door.StartTLS()
		DeferCleanup(door.Close)
		release := records.holding() // none ends
		DeferCleanup(release)
		requests := make([]*http.Request, 0, connections)
		for all := worst(); len(requests) < connections; { // most are of those that pass the first look
			i := len(requests) % (2 * len(all))
			if i >= len(all) {
				i = 2 + i%2
			}
			requests = append(requests, all[i].make())
		}
		before := live()
		var all sync.WaitGroup
		var mu sync.Mutex
		codes := map[string]int{}
		for _, r := range requests {
			all.Go(func() {
				defer GinkgoRecover()
				a := send(r)
				mu.Lock()
				defer mu.Unlock()
				codes[a.kind]++
				if a.kind == "ThrottlingException" {
					Expect(a.message).To(Equal("Rate exceeded"))
					Expect(a.status).To(Equal(400))
				}
			})
		}
		highest := int64(0)
		Consistently(func() int64 {
			highest = max(highest, live()-before)
			return highest
		}, 7*time.Second, 200*time.Millisecond).Should(BeNumerically("<", most))
		GinkgoWriter.Printf("%d MiB at the most\n", highest>>20)
		release()
		all.Wait()
		GinkgoWriter.Println(codes)
		Expect(codes).To(HaveKey("SerializationException")) // more values than there may be
		Expect(codes).To(HaveKey("ValidationException"))    // more than AWS allows
		Expect(codes).To(HaveKey("ThrottlingException"))    // as many as there may be, and others have the room
		Expect(codes["InternalFailure"]).To(BeZero())
		for range 20 { // and all that was taken is given back
			Expect(send(worst()[2].make()).kind).To(Equal("ValidationException"))
		}
	})
})
