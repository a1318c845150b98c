package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SecretRotation is a schedule as in AWS Secrets Manager, and what makes the new value good: with no rotator it is a generated value
// that nobody else needs to know of.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html
//
// +kubebuilder:validation:XValidation:rule="!has(self.duration) || has(self.schedule)",message="a window needs the times at which it opens: set schedule, or remove duration",fieldPath=".duration"
// +kubebuilder:validation:XValidation:rule="has(self.schedule) || has(self.postgres) || has(self.mysql) || has(self.redis)",message="schedule is when the value rotates, for example rate(30 days)",fieldPath=".schedule"
// +kubebuilder:validation:XValidation:rule="!has(self.duration) || !has(self.schedule) || !self.schedule.matches('^rate[(][0-9]{1,5} hours?[)]$') || !self.duration.matches('^[0-9]{1,2}h$') || int(self.duration.substring(0, self.duration.size() - 1)) <= int(self.schedule.substring(5, self.schedule.indexOf(' ')))",message="the window reaches the next one: make duration at most as long as the rate",fieldPath=".duration"
// +kubebuilder:validation:XValidation:rule="!has(self.strategy) || has(self.postgres) || has(self.mysql) || has(self.redis)",message="a strategy is for the users of a database: name its rotator, for example postgres",fieldPath=".strategy"
// +kubebuilder:validation:XValidation:rule="!has(self.strategy) || self.strategy != 'AlternatingUsers' || !has(self.postgres) || has(self.postgres.adminSecretRef)",message="the second user is made and changed by an admin: set postgres.adminSecretRef",fieldPath=".postgres"
// +kubebuilder:validation:XValidation:rule="!has(self.strategy) || self.strategy != 'AlternatingUsers' || !has(self.mysql) || has(self.mysql.adminSecretRef)",message="the second user is made and changed by an admin: set mysql.adminSecretRef",fieldPath=".mysql"
// +kubebuilder:validation:XValidation:rule="!has(self.strategy) || self.strategy != 'AlternatingUsers' || !has(self.redis) || has(self.redis.adminSecretRef)",message="the second user is made and changed by an admin: set redis.adminSecretRef",fieldPath=".redis"
// +kubebuilder:validation:AtMostOneOf=postgres;mysql;redis
type SecretRotation struct {
	// schedule in UTC: rate(N hours), rate(N days), or cron(0 HOURS DAY-OF-MONTH MONTH DAY-OF-WEEK *). Without it a database's
	// credential is rotated when it is asked for.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^rate[(]([1-9][0-9]{0,4} (hour|hours)|1 day|[1-9][0-9]{0,2} days)[)]$') || self.matches('^cron[(]0 +[0-9,*/-]+ +[A-Z0-9?,*/-]+ +[A-Z0-9,*/-]+ +[A-Z0-9L#?,*/-]+ +[*][)]$')",message="schedule is rate(N hours), rate(N days) or cron(0 HOURS DAY-OF-MONTH MONTH DAY-OF-WEEK *), for example rate(30 days) or cron(0 4 ? * SUN *)"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^rate[(][0-9]{1,5} hours?[)]$') || (int(self.substring(5, self.indexOf(' '))) >= 4 && int(self.substring(5, self.indexOf(' '))) <= 23976)",message="a rate is from 4 hours to 999 days"
	Schedule string `json:"schedule,omitempty"`
	// duration of the window that opens at each scheduled time, as Nh: 1h to 24h. When it is left out the window lasts
	// for the rest of the UTC day, or one hour if the schedule is in hours.
	// +optional
	// +kubebuilder:validation:MaxLength=3
	// +kubebuilder:validation:XValidation:rule="self.matches('^([1-9]|1[0-9]|2[0-4])h$')",message="duration is a whole number of hours from 1h to 24h, for example 3h"
	Duration string `json:"duration,omitempty"`
	// strategy: SingleUser or AlternatingUsers. SingleUser when it is left out.
	// +optional
	Strategy RotationStrategy `json:"strategy,omitempty"`
	// postgres: the value is the credential of a PostgreSQL user, of version 10 or later.
	// +optional
	Postgres *DatabaseRotator `json:"postgres,omitempty"`
	// mysql: the value is the credential of a user of MySQL, of version 5.7 or later, or MariaDB, of version 10.4 or later.
	// +optional
	MySQL *DatabaseRotator `json:"mysql,omitempty"`
	// redis: the value is the credential of an ACL user of Redis, of version 6 or later, or Valkey.
	// +optional
	Redis *DatabaseRotator `json:"redis,omitempty"`
}

// RotationStrategy says whose password a rotation changes.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotation-strategy.html
// +kubebuilder:validation:Enum=SingleUser;AlternatingUsers
type RotationStrategy string

// The strategies.
const (
	// RotationSingleUser changes the password of the one user. New connections with the old one fail from then on, except in Redis,
	// where it stays good until the next rotation.
	RotationSingleUser RotationStrategy = "SingleUser"
	// RotationAlternatingUsers changes the password of the user that is not in use, USERNAME or USERNAME_clone, and then has
	// workloads use that one: the credential that they hold stays good until the next rotation.
	RotationAlternatingUsers RotationStrategy = "AlternatingUsers"
)

// DatabaseRotator rotates the user of a database server. The value is a JSON object as AWS's rotation functions expect it: host,
// username and password, and if need be port and dbname.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
type DatabaseRotator struct {
	// adminSecretRef names a Secret of this namespace and API group, with the same host and port, whose user may make users and
	// change their passwords. It makes the user when there is none, makes the second of alternating users, and heals a password that
	// no stored version has.
	// +optional
	AdminSecretRef *LocalReference `json:"adminSecretRef,omitempty"`
	// tls says how connections are protected. Mode verify-full and the system's authorities when it is left out.
	// +optional
	TLS *DatabaseTLS `json:"tls,omitempty"`
}

// DatabaseTLSMode is the protection of a connection, in the words of PostgreSQL's sslmode.
// https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION
// +kubebuilder:validation:Enum=disable;require;verify-ca;verify-full
type DatabaseTLSMode string

// The modes.
const (
	// DatabaseTLSDisable uses no TLS.
	DatabaseTLSDisable DatabaseTLSMode = "disable"
	// DatabaseTLSRequire encrypts, and trusts any certificate.
	DatabaseTLSRequire DatabaseTLSMode = "require"
	// DatabaseTLSVerifyCA trusts any certificate of the authorities.
	DatabaseTLSVerifyCA DatabaseTLSMode = "verify-ca"
	// DatabaseTLSVerifyFull also asks for the host's name.
	DatabaseTLSVerifyFull DatabaseTLSMode = "verify-full"
)

// DatabaseTLS is how connections to a database are protected.
type DatabaseTLS struct {
	// mode: disable, require, verify-ca or verify-full. verify-full when it is left out.
	// +optional
	Mode DatabaseTLSMode `json:"mode,omitempty"`
	// caSecretRef names a key of a core Secret of this namespace that holds the authorities' certificates in PEM. The system's when
	// it is left out.
	// +optional
	CASecretRef *SecretKeyReference `json:"caSecretRef,omitempty"`
}

// RotationStatus is a rotation in progress.
type RotationStatus struct {
	// versionId of the version that is brought in.
	// +required
	// +kubebuilder:validation:MinLength=32
	// +kubebuilder:validation:MaxLength=64
	VersionID string `json:"versionId"`
	// startedTime of the rotation.
	// +required
	StartedTime metav1.Time `json:"startedTime"`
	// step that failed last, by AWS's name; empty while none has.
	// +optional
	// +kubebuilder:validation:Enum=createSecret;setSecret;testSecret;finishSecret
	Step string `json:"step,omitempty"`
	// attempts that failed.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Attempts int32 `json:"attempts,omitempty"`
	// nextAttemptTime is when the step is tried again.
	// +optional
	NextAttemptTime *metav1.Time `json:"nextAttemptTime,omitempty"`
}

// Rotator tells whether a rotation has more to do than to make a value.
func (r *SecretRotation) Rotator() bool { return r.Database() != nil }

// Database is the rotator of a database, of whichever engine, nil if there is none.
func (r *SecretRotation) Database() *DatabaseRotator {
	switch {
	case r == nil:
		return nil
	case r.Postgres != nil:
		return r.Postgres
	case r.MySQL != nil:
		return r.MySQL
	}
	return r.Redis
}
