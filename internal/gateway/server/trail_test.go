package server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/internal/gateway/audit"
)

// the requests of these specs, in each protocol.
var spoken = map[string]struct{ read, write raw }{
	"awsJson": {raw{target: listKeys, body: "{}"}, raw{target: createKey, body: "{}"}},
	"RPC v2":  {raw{rpc: listKeysRPC, body: "\xa0"}, raw{rpc: "TrentService/CreateKey", body: "\xa0"}},
}

var _ = Describe("The trail", func() {
	It("has the record before the answer leaves, of what is carried out and of what is refused", func() {
		for name, requests := range spoken {
			refused := requests.read
			refused.secret = "wrong"
			for _, r := range []raw{requests.read, requests.write, refused} {
				release := records.holding()
				answered := make(chan answer, 1)
				req := r.make()
				go func() {
					defer GinkgoRecover()
					answered <- send(req)
				}()
				Consistently(answered, 150*time.Millisecond).ShouldNot(Receive(), name)
				Expect(records.text()).NotTo(ContainSubstring(req.Header.Get("Authorization")))
				release()
				var got answer
				Eventually(answered).Should(Receive(&got))
				Expect(records.last()).To(HaveKeyWithValue("requestID", got.header.Get("x-amzn-RequestId")))
			}
		}
	})

	It("fails closed in each protocol: no answer's content, no change, until a record can be written again", func() {
		for name, requests := range spoken {
			records.fail(errors.New("no space left on device"))
			before := len(materials())
			for range 2 {
				got := send(requests.read.make())
				Expect(got.status).To(Equal(http.StatusInternalServerError), name)
				Expect(got.kind).To(HaveSuffix("InternalFailure"))
				Expect(got.body).NotTo(ContainSubstring("device"))
				Expect(got.body).NotTo(ContainSubstring("Truncated"))
			}
			got := send(requests.write.make())
			Expect(got.status).To(Equal(http.StatusInternalServerError))
			Expect(materials()).To(HaveLen(before), name)
			records.fail(nil)
			again := requests.write
			again.at = time.Now().Add(2 * time.Second)
			Expect(send(again.make()).status).To(Equal(http.StatusInternalServerError), "a write, before a record was seen to be written")
			Expect(send(requests.read.make()).status).To(Equal(http.StatusOK))
			again.at = time.Now().Add(3 * time.Second)
			Expect(send(again.make()).status).To(Equal(http.StatusOK), name)
			Expect(materials()).To(HaveLen(before + 1))
		}
	})

	It("has one whole line for each of many requests at once", func() {
		var all sync.WaitGroup
		const requests = 60
		for i := range requests {
			r := spoken[[]string{"awsJson", "RPC v2"}[i%2]].read.make()
			all.Go(func() {
				defer GinkgoRecover()
				Expect(send(r).status).To(Equal(http.StatusOK))
			})
		}
		all.Wait()
		ids := map[any]bool{}
		for _, record := range records.all() {
			ids[record["requestID"]] = true
			ids[record["eventID"]] = true
		}
		Expect(ids).To(HaveLen(2 * requests))
	})

	It("has a record of a caller who went away", func() {
		ctx, cancel := context.WithCancel(ctx)
		release := records.holding()
		req := spoken["awsJson"].write.make().WithContext(ctx)
		gone := make(chan error, 1)
		go func() {
			res, err := door.Client().Do(req)
			if err == nil {
				_ = res.Body.Close()
			}
			gone <- err
		}()
		Consistently(gone, 150*time.Millisecond).ShouldNot(Receive())
		cancel()
		Eventually(gone).Should(Receive(HaveOccurred()))
		release()
		Eventually(records.text).Should(ContainSubstring(`"eventName":"CreateKey"`))
	})

	It("says nothing of a request that could not be read but who it claims to be from", func() {
		const hush = "hunter2-hunter2"
		for _, r := range []raw{
			{target: createKey, body: `{"Description":"` + hush + `","Description":"` + hush + `"}`},
			{rpc: "TrentService/CreateKey", body: "\xa2kDescription\x6f" + hush + "kDescription\x6f" + hush},
			{target: createKey, body: `{"Description":"` + hush},
			{rpc: "TrentService/CreateKey", body: "\xa1kDescription\x78" + hush},
		} {
			got := send(r.make())
			Expect(got.kind).To(HaveSuffix("SerializationException"))
			Expect(got.body).NotTo(ContainSubstring(hush))
			Expect(records.text()).NotTo(ContainSubstring(hush))
			Expect(records.last()).To(And(HaveKeyWithValue("eventName", "CreateKey"), HaveKeyWithValue("errorCode", "SerializationException"),
				HaveKeyWithValue("userIdentity", HaveKeyWithValue("userName", "alice")), HaveKeyWithValue("requestParameters", BeNil())))
		}
		unsigned := send(raw{target: createKey, body: `{"Description":"` + hush + `"}`, secret: "wrong"}.make())
		Expect(unsigned.kind).To(Equal("InvalidSignatureException"))
		Expect(records.last()["userIdentity"]).To(And(HaveKeyWithValue("type", "Unknown"), HaveKeyWithValue("accessKeyId", adminKey), Not(HaveKey("userName"))))
		Expect(records.text()).NotTo(ContainSubstring(hush))
	})

	It("keeps what a client says of itself to one line, and short", func() {
		long := strings.Repeat("agent ", 1000)
		got := send(raw{target: listKeys, body: "{}", change: func(r *http.Request) { r.Header.Set("User-Agent", long+"\u2028\"}") }}.make())
		Expect(got.status).To(Equal(http.StatusOK))
		record := records.last()
		Expect(len(record["userAgent"].(string))).To(BeNumerically("<=", 1024))
		Expect(record["userAgent"]).To(HaveSuffix("..."))
	})

	It("hides what is sensitive whatever else is wrong with the request", func() {
		got := send(raw{target: "secretsmanager.CreateSecret", service: "secretsmanager",
			body: `{"Name":"","SecretString":"` + plaintext + `","ClientRequestToken":"x"}`}.make())
		Expect(got.kind).To(Equal("ValidationException"))
		Expect(records.last()["requestParameters"]).To(HaveKeyWithValue("secretString", audit.Hidden))
		Expect(records.text()).NotTo(ContainSubstring(plaintext))
		Expect(got.body).NotTo(ContainSubstring(plaintext))
	})
})

// overTheWire sends bytes as they are over HTTP/1.1, and reads one answer.
func overTheWire(request string) (*http.Response, error) {
	GinkgoHelper()
	config := door.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos = []string{"http/1.1"}
	c, err := tls.Dial("tcp", strings.TrimPrefix(door.URL, "https://"), config)
	Expect(err).NotTo(HaveOccurred())
	defer c.Close()
	Expect(c.SetDeadline(time.Now().Add(10 * time.Second))).To(Succeed())
	_, err = io.WriteString(c, request)
	Expect(err).NotTo(HaveOccurred())
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body = io.NopCloser(strings.NewReader(string(body)))
	return res, err
}

// bytesOf are those of a signed request, whose head and body are changed after it was signed.
func bytesOf(r raw, head func(string) string, body string) string {
	GinkgoHelper()
	req := r.make()
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s HTTP/1.1\r\nHost: %s\r\n", req.Method, req.URL.RequestURI(), req.Host)
	Expect(req.Header.Write(&out)).To(Succeed())
	fmt.Fprintf(&out, "Content-Length: %d\r\n", len(r.body))
	return head(out.String()) + "\r\n" + body
}

var _ = DescribeTable("A body that is sent in a strange way", func(head func(string) string, body string, status int, says string) {
	r := raw{target: listKeys, body: "{}"}
	res, err := overTheWire(bytesOf(r, head, body))
	if status == 0 {
		Expect(err).To(HaveOccurred())
		return
	}
	Expect(err).NotTo(HaveOccurred())
	text, _ := io.ReadAll(res.Body)
	Expect(res.StatusCode).To(Equal(status), string(text))
	Expect(string(text)).To(ContainSubstring(says))
},
	Entry("whole", func(h string) string { return h }, "{}", 200, `"Keys"`),
	Entry("in chunks, though a length was signed", func(h string) string {
		return strings.Replace(h, "Content-Length: 2\r\n", "Transfer-Encoding: chunked\r\n", 1)
	}, "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", 400, "InvalidSignatureException"),
	Entry("in chunks and with a length", func(h string) string { return h + "Transfer-Encoding: chunked\r\n" }, "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", 400, ""),
	Entry("with two lengths", func(h string) string { return h + "Content-Length: 3\r\n" }, "{}", 400, ""),
	Entry("with a length that is none", func(h string) string { return strings.Replace(h, "Content-Length: 2", "Content-Length: +2", 1) }, "{}", 400, ""),
	Entry("in an encoding that nobody speaks", func(h string) string {
		return strings.Replace(h, "Content-Length: 2\r\n", "Transfer-Encoding: gzip\r\n", 1)
	}, "{}", 501, ""),
	Entry("with a second host", func(h string) string { return h + "Host: other.example\r\n" }, "{}", 400, ""),
	Entry("with a header that goes on in the next line", func(h string) string { return h + "X-Note: a\r\n b\r\n" }, "{}", 200, ""),
	Entry("with a header whose name has a blank", func(h string) string { return h + "X-Amz-Note : a\r\n" }, "{}", 400, ""),
	Entry("with a header of its name in another case, not signed", func(h string) string { return h + "x-AMZ-note: a\r\n" }, "{}", 400, "'x-amz-note' must be a signed header."),
	Entry("with a second target", func(h string) string { return h + "x-amz-target: TrentService.CreateKey\r\n" }, "{}", 400, "occurs 2 times"),
	Entry("with a second date", func(h string) string { return h + "x-amz-date: 20200101T000000Z\r\n" }, "{}", 400, "occurs 2 times"),
	Entry("with a second Authorization", func(h string) string { return h + "authorization: AWS4-HMAC-SHA256 x\r\n" }, "{}", 400, "IncompleteSignatureException"),
	Entry("with a NUL in a header", func(h string) string { return h + "X-Note: a\x00b\r\n" }, "{}", 400, ""),
)
