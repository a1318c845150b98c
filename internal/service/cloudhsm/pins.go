package cloudhsm

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/hsm"
)

const (
	// MaximumTries of PINs that a token has not taken yet, by all HSMClusters together, since it took one last. The fewest that tokens lock after are three.
	MaximumTries = 2
	// Unseen is how long a try whose end nobody saw may still be going on.
	Unseen = 10 * time.Minute

	// tokenAnnotation says to people which token a core Secret with a PINRecord is of, as LIBRARY=LABEL.
	tokenAnnotation = v1alpha1.Group + "/pkcs11-token"
	recordKey       = "pins.json"
	// maximumPINs that a record keeps. The oldest of those that were refused go first.
	maximumPINs = 16
)

var (
	errOtherToken  = errors.New("it is of another token")
	errOtherRecord = errors.New("the record of the PINs that were tried is another than a moment ago")
)

// Token is one that HSMClusters name in spec.pkcs11, whichever of them: a wrong PIN that one of them tries, the token counts for all. Library is the one path that stands for all
// those of that module, see hsmnodes.Host.
type Token struct{ Library, Label string }

// Identity is what a PINRecord calls an HSMCluster: NAMESPACE/NAME/UID. One that is made again under its name is another one, whose nodes may not know what those of the former tried.
func Identity(hc *v1alpha1.HSMCluster) string {
	return hc.Namespace + "/" + hc.Name + "/" + string(hc.UID)
}

// TokenOf is the token of a cluster, and none for SoftHSM, whose nodes have tokens of their own.
func TokenOf(hc *v1alpha1.HSMCluster) Token {
	if hc.Spec.PKCS11 == nil {
		return Token{}
	}
	return Token{hc.Spec.PKCS11.Library, hc.Spec.PKCS11.TokenLabel}
}

// RecordName is the name of the core Secret with a token's PINRecord, in Strongroom's own namespace.
func (t Token) RecordName() string {
	sum := sha256.Sum256([]byte("strongroom pkcs11 token\x00" + t.Library + "\x00" + t.Label)) // neither has a NUL
	return "pkcs11-token-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:24])
}

// PINRecord is what is known of the PINs that nodes were told to log in to a token with, by all HSMClusters that name it. It outlives them: who deletes a cluster and makes another has no more tries.
// What is tried is written before the node is told, so that whoever comes after a crash knows that it may have been.
type PINRecord struct {
	// Salt of all digests. The digests are where PINs are: they tell nobody more than they can read.
	Salt []byte `json:"salt"`
	// Tries that began since the token took a PIN last, and did not end with its taking one. One whose end nobody saw counts.
	Tries int `json:"tries,omitempty"`
	// PINs that were tried, the last one last.
	PINs []TriedPIN `json:"pins,omitempty"`
	// LoggedIn are the HSMClusters, by their Identity, whose nodes logged in with the PIN that the token took last.
	LoggedIn []string `json:"loggedIn,omitempty"`

	secret *corev1.Secret
}

// TriedPIN is a PIN that a node was told to log in with.
type TriedPIN struct {
	Digest []byte `json:"digest"`
	// Cluster, by its Identity, and Node that were told last, and when.
	Cluster string      `json:"cluster"`
	Node    string      `json:"node"`
	Time    metav1.Time `json:"time"`
	// Open tells that nobody saw yet what came of it.
	Open bool `json:"open,omitempty"`
	// Refused tells that the token did not take the PIN, and Taken that it is the one that the token took last.
	Refused bool `json:"refused,omitempty"`
	Taken   bool `json:"taken,omitempty"`

	// counted tells that this telling is one of PINRecord.Tries, and former is what was known of the PIN before it. Both are for who began the try alone: another process does not see its end.
	counted bool
	former  *TriedPIN
}

// Outcome is what came of a try.
type Outcome int

// The outcomes. Of an error that is none of these nobody knows whether the PIN was tried: the try stays open.
const (
	// PINNotTried: the node has another PIN, and tried none.
	PINNotTried Outcome = iota
	PINTaken
	PINRefused
)

// Find finds a PIN by its digest, nil if it was not tried.
func (r *PINRecord) Find(digest []byte) *TriedPIN {
	if at := r.index(digest); at >= 0 {
		return &r.PINs[at]
	}
	return nil
}

func (r *PINRecord) index(digest []byte) int {
	return slices.IndexFunc(r.PINs, func(t TriedPIN) bool { return bytes.Equal(t.Digest, digest) })
}

// TakenByOthers tells whether the PIN that the token took last is that of other HSMClusters alone, of those that are there: a token has one PIN, so another one is wrong, or it is theirs to say that it changed.
func (r *PINRecord) TakenByOthers(cluster string, there []string) bool {
	if slices.Contains(r.LoggedIn, cluster) {
		return false
	}
	return slices.ContainsFunc(r.LoggedIn, func(name string) bool { return slices.Contains(there, name) })
}

// begin puts on record that a node is told to try a PIN. It tells whether anything changed: the same node that is told again goes on with the same try, since it knows itself whether it has tried.
func (r *PINRecord) begin(try *TriedPIN) (changed bool) {
	try.Open, try.Refused = true, false
	if last := r.Find(try.Digest); last != nil {
		if last.same(try) {
			return false
		}
		former := *last
		try.Taken, try.former = last.Taken, &former
	}
	try.counted = true
	r.Tries++
	r.put(*try)
	return true
}

// same tells whether what is on record is a try of that node whose end nobody saw.
func (t *TriedPIN) same(try *TriedPIN) bool {
	return t.Open && t.Cluster == try.Cluster && t.Node == try.Node
}

// end puts on record what came of a try. there are the HSMClusters that name the token.
func (r *PINRecord) end(try TriedPIN, outcome Outcome, there []string) {
	last := r.Find(try.Digest)
	if last != nil {
		try.Taken = last.Taken
	}
	try.Open = false
	switch outcome {
	case PINNotTried:
		r.takeBack(last, try)
		return
	case PINTaken:
		if !try.Taken {
			r.LoggedIn = nil
			r.PINs = slices.DeleteFunc(r.PINs, func(t TriedPIN) bool { return t.Taken })
		}
		r.LoggedIn = slices.DeleteFunc(r.LoggedIn, func(name string) bool { return name == try.Cluster || !slices.Contains(there, name) })
		r.LoggedIn = append(r.LoggedIn, try.Cluster)
		r.Tries, try.Taken, try.Refused = r.goingOn(try), true, false
	case PINRefused:
		r.Tries = max(r.Tries, 1)
		if try.Taken { // it was changed at the token, so nobody has the right one
			r.LoggedIn = nil
		}
		try.Refused, try.Taken = true, false
	}
	r.put(try)
}

// takeBack makes the record as it was before a node was told, if it was that telling that counted. An earlier one of the same node may have been tried, although this one was not; so may the
// one that another is on record for by now.
func (r *PINRecord) takeBack(last *TriedPIN, try TriedPIN) {
	if !try.counted || last == nil || !last.same(&try) {
		return
	}
	r.Tries = max(r.Tries-1, 0)
	former := try.former
	switch {
	case former != nil:
		former.Taken = last.Taken // the token may have taken another meanwhile
		r.put(*former)
	default: // it is as if nobody had named it
		r.remove(try.Digest)
	}
}

// goingOn counts the tries of other PINs than the one that the token took now, which it may be given after that. Of those that began too long ago the end stays unknown, and counts no more.
func (r *PINRecord) goingOn(taken TriedPIN) (count int) {
	for i := range r.PINs {
		t := &r.PINs[i]
		if !t.Open || bytes.Equal(t.Digest, taken.Digest) {
			continue
		}
		if t.Open = taken.Time.Sub(t.Time.Time) < Unseen; t.Open {
			count++
		}
	}
	return count
}

func (r *PINRecord) remove(digest []byte) {
	if at := r.index(digest); at >= 0 {
		r.PINs = slices.Delete(r.PINs, at, at+1)
	}
}

// put makes a PIN the last one, and forgets the oldest that was refused if there are too many.
func (r *PINRecord) put(try TriedPIN) {
	r.remove(try.Digest)
	r.PINs = append(r.PINs, try)
	if len(r.PINs) > maximumPINs {
		at := max(slices.IndexFunc(r.PINs, func(t TriedPIN) bool { return t.Refused }), 0)
		r.PINs = slices.Delete(r.PINs, at, at+1)
	}
}

// PINRecord reads that of a token, from the API server. There is always one, which may not be written yet.
func (c *Clusters) PINRecord(ctx context.Context, token Token) (*PINRecord, error) {
	secret := &corev1.Secret{}
	err := c.Live.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: token.RecordName()}, secret)
	if apierrors.IsNotFound(err) {
		r := &PINRecord{Salt: make([]byte, hsm.PINSaltSize)}
		_, _ = rand.Read(r.Salt) // it never fails
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading which PINs were tried: %w", err)
	}
	defer wipe(secret.Data)
	r := &PINRecord{}
	if err = json.Unmarshal(secret.Data[recordKey], r); err == nil && len(r.Salt) != hsm.PINSaltSize {
		err = errors.New("it has no salt")
	}
	if err == nil && secret.Annotations[tokenAnnotation] != token.Library+"="+token.Label {
		err = errOtherToken
	}
	if err != nil { // which PINs were tried nobody knows, so none is
		return nil, fmt.Errorf("core Secret %s/%s, with the PINs that were tried at a token: %w; restore it from a backup, or delete it if the PIN is right", c.Namespace, secret.Name, err)
	}
	r.secret = &corev1.Secret{ObjectMeta: secret.ObjectMeta}
	return r, nil
}

// BeginPIN puts on record that a node is told to try a PIN, before it is.
//
// Crash-safe: it is one write, of the record as it was decided upon: of two who want to try at once, one is told of a conflict, and tries nothing. EndPIN wants try as it is then.
func (c *Clusters) BeginPIN(ctx context.Context, token Token, r *PINRecord, try *TriedPIN) error {
	if !r.begin(try) {
		return nil
	}
	return c.writePINs(ctx, token, r)
}

// EndPIN puts on record what came of a try that began by a record, and answers the record as it is then. It looks again when another HSMCluster writes at the same time.
func (c *Clusters) EndPIN(ctx context.Context, token Token, began *PINRecord, try TriedPIN, outcome Outcome, there []string) (*PINRecord, error) {
	for range attempts {
		r, err := c.PINRecord(ctx, token)
		if err != nil {
			return began, err
		}
		if r.secret == nil { // somebody deleted it meanwhile
			r.Salt = began.Salt
		}
		if !bytes.Equal(r.Salt, began.Salt) {
			return began, errOtherRecord
		}
		r.end(try, outcome, there)
		if err = c.writePINs(ctx, token, r); !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			return r, err
		}
	}
	return began, errContended
}

func (c *Clusters) writePINs(ctx context.Context, token Token, r *PINRecord) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding which PINs were tried: %w", err)
	}
	if r.secret == nil {
		r.secret = &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: token.RecordName(), Annotations: map[string]string{tokenAnnotation: token.Library + "=" + token.Label}},
			Data:       map[string][]byte{recordKey: text},
		}
		err = c.Direct.Create(ctx, r.secret)
	} else {
		before := r.secret.DeepCopy()
		r.secret.Data = map[string][]byte{recordKey: text}
		err = c.Direct.Patch(ctx, r.secret, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	}
	if err != nil {
		return fmt.Errorf("recording which PIN is tried: %w", err)
	}
	return nil
}

// Since is how long ago the node was told.
func (t *TriedPIN) Since(now time.Time) time.Duration { return now.Sub(t.Time.Time) }
