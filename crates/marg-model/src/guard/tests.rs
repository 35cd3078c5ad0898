//! Names and values, both ways.

use super::{is_secret_name, suspicion};

/// What looks like a token, put together here so that no scanner takes this file for a leak.
fn token(begin: &str) -> String {
    format!("{begin}{}", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8")
}

#[test]
fn what_is_refused() {
    let (word, random) = ("canary", "aB3dE5gH7jK9mN1pQ3sT");
    let hexadecimal = "0123456789abcdef0123456789abcdef";
    for (name, value) in [
        // By name, whatever the value.
        ("STRIPE_SECRET_KEY", word),
        ("OPENAI_API_KEY", word),
        ("GITHUB_PAT", word),
        ("DB_PASSWORD", word),
        ("VITE_DB_PASSWORD", word),
        ("SITE_TOKEN", word),
        ("DB_PASS", word),
        ("DB_PASSWORD_2", word),
        ("DB_PASSWORD_OLD", word),
        ("DB_PASSWORD", "12345678"),
        ("MYSQL_PWD", word),
        ("PGPASSWORD", word),
        ("DBPASSWORD", word),
        ("stripeSecret", word),
        ("stripe_secret", word),
        ("SMTP_PASSWD", word),
        ("SSH_PASSPHRASE", word),
        ("SLACK_BOT_TOKEN", word),
        ("TOKEN", word),
        ("SECRET", word),
        ("AWS_SECRET_ACCESS_KEY", word),
        ("VAPID_PRIVATE_KEY", word),
        ("JWT_SIGNING_KEY", word),
        ("PUSHER_APP_SECRET", word),
        ("REVERB_APP_SECRET", word),
        ("NOVA_LICENSE_KEY", word),
        ("APP_KEY", word),
        ("APP_PREVIOUS_KEYS", word),
        ("FCM_SERVER_KEY", word),
        ("MAILGUN_APIKEY", word),
        ("API_KEY1", word),
        ("API_SECRETS", word),
        // By a doubtful name and a value that nobody thinks of.
        ("MEILISEARCH_KEY", random),
        ("ABLY_KEY", "aB3d.E5gH7j:K9mN1pQ3sT5"),
        ("HASHIDS_SALT", random),
        ("REDISCLI_AUTH", hexadecimal),
        ("STRIPE_KEY", random),
        // By value, whatever the name.
        ("APP_MOTTO", &token("sk_live_")),
        ("VITE_STRIPE", &token("sk_test_")),
        ("A", &token("ghp_")),
        ("A", &token("github_pat_")),
        ("A", &token("glpat-")),
        ("A", &token("dop_v1_")),
        ("A", &token("xoxb-")),
        ("A", &token("sk-proj-")),
        ("A", &token("SG.")),
        ("A", &format!("Bearer {}", token("ghp_"))),
        ("A", &format!("{}{}", "AKIA", "ABCDEFGHIJ234567")),
        (
            "AWS_ACCESS_KEY",
            &format!("{}{}", "AKIA", "ABCDEFGHIJ234567"),
        ),
        ("A", "-----BEGIN RSA PRIVATE KEY-----\nMIIE"),
        ("A", "-----BEGIN OPENSSH PRIVATE KEY-----"),
        ("A", "base64:0BkbT2gkGGYjp1Xt1b2XlRbUSsZ5Gk0tH0PZ6f4M1zA="),
        (
            "A",
            &format!(
                "{}.{}.{}",
                "eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxIn0", "c2lnbmF0dXJl"
            ),
        ),
        ("DATABASE_URL", "mysql://shop:canary@db.test/shop"),
        ("REDIS_URL", "redis://:canary@redis.test:6379"),
        ("MAIL_URL", "smtp://me%40shop.test:can/ary@mail.test:587"),
        ("A", "https://me:canary@shop.test"),
        ("A", &format!("https://{}@github.com/a/b", token("ghp_"))),
        ("FEED_URL", "https://shop.test/feed?api_key=canary"),
        ("A", "mysql:host=db.test;dbname=shop;password=canary"),
        (
            "LOG_SLACK_WEBHOOK_URL",
            "https://hooks.slack.com/services/T000/B000/canary",
        ),
    ] {
        assert!(suspicion(name, value).is_some(), "{name}={value}");
    }
}

#[test]
fn what_is_taken() {
    let random = "aB3dE5gH7jK9mN1pQ3sT";
    for (name, value) in [
        // Switches and numbers.
        ("REQUIRE_PASSWORD", "false"),
        ("REQUIRE_PASSWORD", "true"),
        ("PASSWORD_TIMEOUT", "10800"),
        ("AUTH_PASSWORD_TIMEOUT", "10800"),
        ("MAX_TOKENS", "128000"),
        ("OPENAI_MAX_TOKEN", "4096"),
        ("PASSWORD_MIN_LENGTH", "12"),
        ("TWO_FACTOR_SECRET", "off"),
        // Nothing, and what stands for it.
        ("MAIL_PASSWORD", ""),
        ("MAIL_PASSWORD", "null"),
        ("MAIL_PASSWORD", "(null)"),
        ("STRIPE_SECRET_KEY", "<your key>"),
        ("STRIPE_SECRET_KEY", "your-key"),
        ("DB_PASSWORD", "${OTHER}"),
        ("API_TOKEN", "xxxx"),
        ("REDIS_URL", "redis://default:null@redis.test"),
        // Words that stand before something else.
        ("AUTH_PASSWORD_BROKER", "users"),
        ("AUTH_PASSWORD_RESET_TOKEN_TABLE", "password_reset_tokens"),
        ("PASSWORD_RESET_URL", "https://shop.test/reset"),
        ("TOKEN_NAME", "session"),
        ("SECRET_NAME", "shop"),
        ("CLIENT_SECRET_FILE", "client.json"),
        ("SESSION_SECURE_COOKIE", "cookie"),
        ("API_KEY_HEADER", "X-Api-Key"),
        ("COMPASS", "north"),
        ("BYPASS", "never"),
        ("PWD", "srv"),
        ("MONKEY", "see"),
        // What browsers are told.
        ("PUSHER_APP_KEY", random),
        ("REVERB_APP_KEY", random),
        ("VITE_REVERB_APP_KEY", random),
        (
            "VITE_GOOGLE_MAPS_KEY",
            &format!("{}{}", "AIza", "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q"),
        ),
        ("VAPID_PUBLIC_KEY", random),
        ("RECAPTCHA_SITE_KEY", random),
        ("STRIPE_KEY", &token("pk_live_")),
        ("APP_URL", "https://shop.test:8080/a@b"),
        ("STRIPE_PUBLISHABLE_KEY", &token("pk_live_")),
        ("PADDLE_CLIENT_SIDE_TOKEN", random),
        (
            "AWS_ACCESS_KEY_ID",
            &format!("{}{}", "AKIA", "ABCDEFGHIJ234567"),
        ),
        ("A", "-----BEGIN PUBLIC KEY-----\nMIIB"),
        ("A", "-----BEGIN CERTIFICATE-----\nMIIB"),
        // Where it lies.
        ("PASSPORT_PRIVATE_KEY", "/etc/shop/oauth-private.key"),
        ("MYSQL_ATTR_SSL_KEY", "/etc/ssl/shop/client-key.pem"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/etc/shop/google.json"),
        // Doubtful names with words for values.
        ("CACHE_KEY", "shop_prices"),
        ("AMQP_ROUTING_KEY", "orders.created.v1.something"),
        ("DEFAULT_AUTH", "sanctum"),
        ("SENTRY_LARAVEL_DSN", "https://o1.ingest.sentry.io/2"),
        // Ordinary values.
        ("APP_URL", "https://shop.test:8443/a?b=c#d"),
        ("MAIL_FROM_ADDRESS", "no-reply@shop.test"),
        ("ASSET", "https://me@shop.test/a"),
        ("DB_HOST", "mysql.shop.internal"),
        ("REDIS_PREFIX", "shop_database_"),
        ("BUILD", "4f9c1e0a2b7d4f9c1e0a2b7d4f9c1e0a2b7d4f9c"),
        ("A", "npm ci && npm run build"),
        ("A", "a=b; key-board, sk-ill, base64:short"),
    ] {
        assert_eq!(suspicion(name, value), None, "{name}={value}");
    }
}

#[test]
fn names_alone() {
    for (name, secret) in [
        ("MAIL_PASSWORD", true),
        ("AWS_SECRET_ACCESS_KEY", true),
        ("APP_KEY", true),
        ("REVERB_APP_KEY", false),
        ("MEILISEARCH_KEY", false),
        ("MAIL_HOST", false),
        ("", false),
        ("_", false),
        ("__9", false),
    ] {
        assert_eq!(is_secret_name(name), secret, "{name}");
    }
}
