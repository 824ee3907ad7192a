//! The five teams' `.env` files, byte for byte as their documents show them. They lie beside the project, not in it: where
//! they are not there, these tests say so and prove nothing.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::Stage;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What an app gets when it is given this file as `env_file`; nothing if the fragments are not here.
fn env_of(fragment: &str) -> Option<BTreeMap<String, String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fragments");
    let Ok(text) = fs::read_to_string(folder.join(fragment)) else {
        eprintln!("skipped: no {} beside the project", folder.display());
        return None;
    };
    let name = if fragment.ends_with(".production") { ".env.production" } else { ".env" };
    let stage = Stage::with(&format!("[app.web]\nrun = 'python3'\nenv_file = '{name}'\nlisten = false\n"));
    stage.file(name, &text, 0o600);
    let loaded = stage.load().unwrap();
    // they are examples, and their secrets are
    assert!(loaded.warnings.iter().all(|it| it.code == "secret::placeholder"), "{:?}", loaded.warnings);
    let app = &loaded.spec.apps[&"web".parse().unwrap()];
    assert!(app.env.values().all(|value| !matches!(value, model::spec::EnvValue::Plain(_))), "none is shown");
    Some(app.env.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect())
}

fn check(fragment: &str, variables: &[(&str, &str)]) {
    let Some(env) = env_of(fragment) else { return };
    let wanted: BTreeMap<_, _> =
        variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    assert_eq!(env, wanted, "{fragment}");
}

// req: CFG-03
#[test]
fn plot_palette() {
    check(
        "CFG-03.plot-palette.env",
        &[
            ("FLASK_ENV", "production"),
            ("DB_HOST", "localhost"),
            ("DB_USER", "plot_palette_user"),
            ("DB_PASSWORD", "your_secure_password"),
            ("DB_NAME", "plot_palette"),
            ("SECRET_KEY", "your_secret_key"),
        ],
    );
}

// req: CFG-09, ENV-20, ENV-21, ENV-30, ENV-31
#[test]
fn plosolver_development() {
    check(
        "CFG-09.plosolver.env",
        &[
            ("NODE_ENV", "development"),
            ("FLASK_DEBUG", "true"),
            ("BUILD_ENV", "development"),
            ("POSTGRES_USER", "postgres"),
            ("POSTGRES_PASSWORD", "postgres"),
            ("POSTGRES_DB", "plosolver"),
            ("DATABASE_URL", "postgresql://postgres:postgres@db:5432/plosolver"),
            ("SECRET_KEY", "dev-secret-key-change-in-production"),
            ("JWT_SECRET_KEY", "dev-jwt-secret-key-change-in-production"),
            ("GOOGLE_CLIENT_ID", "your-google-client-id"),
            ("GOOGLE_CLIENT_SECRET", "your-google-client-secret"),
            ("STRIPE_PUBLISHABLE_KEY", "pk_test_..."),
            ("STRIPE_SECRET_KEY", "sk_test_..."),
            ("STRIPE_WEBHOOK_SECRET", "whsec_..."),
            ("TRAEFIK_DOMAIN", "localhost"),
            ("FRONTEND_DOMAIN", "localhost"),
            ("TRAEFIK_DASHBOARD_ENABLED", "true"),
            ("TRAEFIK_HTTPS_ENABLED", "false"),
            ("DISCOURSE_DOMAIN", "forum.localhost"),
            ("DISCOURSE_SSO_SECRET", "change-this-secret"),
            ("DISCOURSE_DEVELOPER_EMAILS", "admin@localhost"),
            ("LOG_LEVEL", "DEBUG"),
        ],
    );
}

// req: CFG-10, ENV-20, ENV-21, ENV-30, ENV-31
#[test]
fn plosolver_production_is_chosen_by_its_name() {
    check(
        "CFG-10.plosolver.env.production",
        &[
            ("NODE_ENV", "production"),
            ("FLASK_DEBUG", "false"),
            ("BUILD_ENV", "production"),
            ("POSTGRES_USER", "plosolver_user"),
            ("POSTGRES_PASSWORD", "secure_random_password"),
            ("POSTGRES_DB", "plosolver_prod"),
            ("DATABASE_URL", "postgresql://plosolver_user:secure_random_password@db:5432/plosolver_prod"),
            ("SECRET_KEY", "secure-random-secret-key-32-chars"),
            ("JWT_SECRET_KEY", "secure-random-jwt-secret-key-32-chars"),
            ("GOOGLE_CLIENT_ID", "your-production-google-client-id"),
            ("GOOGLE_CLIENT_SECRET", "your-production-google-client-secret"),
            ("STRIPE_PUBLISHABLE_KEY", "pk_live_..."),
            ("STRIPE_SECRET_KEY", "sk_live_..."),
            ("STRIPE_WEBHOOK_SECRET", "whsec_..."),
            ("TRAEFIK_DOMAIN", "plosolver.com"),
            ("FRONTEND_DOMAIN", "plosolver.com"),
            ("TRAEFIK_DASHBOARD_ENABLED", "false"),
            ("TRAEFIK_HTTPS_ENABLED", "true"),
            ("ACME_EMAIL", "admin@plosolver.com"),
            ("DISCOURSE_DOMAIN", "forum.plosolver.com"),
            ("DISCOURSE_SSO_SECRET", "secure-random-sso-secret"),
            ("DISCOURSE_DEVELOPER_EMAILS", "admin@plosolver.com"),
            ("LOG_LEVEL", "INFO"),
        ],
    );
}

// req: CFG-30
#[test]
fn imagineer_web() {
    check(
        "CFG-30.imagineer.web.env.production",
        &[("VITE_API_BASE_URL", "https://imagineer-api.joshwentworth.com/api")],
    );
}

// req: CFG-31
#[test]
fn imagineer_server() {
    check(
        "CFG-31.imagineer.env",
        &[
            ("FLASK_ENV", "production"),
            ("FLASK_DEBUG", "False"),
            (
                "ALLOWED_ORIGINS",
                "https://imagineer-generator.web.app,https://imagineer-generator.firebaseapp.com",
            ),
            ("DATABASE_URL", "sqlite:////home/jdubz/Development/imagineer/instance/imagineer.db"),
            ("GOOGLE_CLIENT_ID", "your-client-id.apps.googleusercontent.com"),
            ("GOOGLE_CLIENT_SECRET", "your-secret"),
            ("GOOGLE_REDIRECT_URI", "https://imagineer-api.joshwentworth.com/auth/callback"),
            ("SECRET_KEY", "your-secret-key"),
            ("SESSION_COOKIE_SECURE", "True"),
            ("SESSION_COOKIE_HTTPONLY", "True"),
            ("SESSION_COOKIE_SAMESITE", "Lax"),
        ],
    );
}

// req: CFG-35, QUIRK-49
#[test]
fn math2visual_with_comments_and_empty_values() {
    check(
        "CFG-35.math2visual.env",
        &[
            ("OPENAI_API_KEY", "your_openai_api_key"),
            ("GEMINI_API_KEY", "your_gemini_api_key"),
            ("GEMINI_TUTOR_MODEL", "gemini-pro-latest"),
            ("SVG_STORAGE_MODE", "local"),
            ("SVG_DATASET_PATH", "/path/to/svg/dataset"),
            ("SVG_CACHE_SIZE", "100"),
            (
                "DATABASE_URL",
                "postgresql://math2visual_user:math2visual_password@localhost:5432/math2visual_analytics",
            ),
            ("DATABASE_ECHO", "false"),
            ("TUTOR_SESSION_EXPIRATION_HOURS", "2"),
            ("FLASK_ENV", ""),
            ("CORS_ORIGINS", ""),
            ("FRONTEND_URL", ""),
        ],
    );
}
