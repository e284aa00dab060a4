//! Who may ask, and who is refused.

use posthaste_broker::Broker;
use posthaste_inspector::{Inspector, Password, ServeError, serve};

use crate::client::{bare, call, get};
use crate::pages::PAGES;
use crate::{PATHS, order, producer, start};

/// A path that is not there is no exception.
fn all_paths() -> impl Iterator<Item = &'static str> {
    PATHS.into_iter().chain(PAGES).chain(["/nowhere"])
}

#[tokio::test]
async fn every_path_is_closed_to_a_host_that_was_not_given() {
    let (_broker, inspector) = start().await;
    let port = inspector.address().port();
    for path in all_paths() {
        for method in ["GET", "HEAD", "POST", "DELETE", "OPTIONS"] {
            for host in ["evil.example".to_owned(), format!("evil.example:{port}"), String::new()] {
                let line = format!("{method} {path} HTTP/1.1");
                let refused = bare(&inspector, &line).header(&format!("Host: {host}"));
                refused.send().await.expect(421);
            }
        }
        let allowed = bare(&inspector, &format!("GET {path} HTTP/1.1"));
        let allowed = allowed.header(&format!("Host: localhost:{port}")).send().await;
        assert!(matches!(allowed.status, 200 | 404), "{path}: {allowed:?}");
    }
    let refused = get(&inspector, "/nowhere").await.expect(404);
    assert_eq!(refused.kind(), "no_such_path");
}

#[tokio::test]
async fn a_host_is_said_once_and_in_no_other_way() {
    let (_broker, inspector) = start().await;
    let own = format!("Host: {}", inspector.address());
    bare(&inspector, "GET /healthz HTTP/1.0").send().await.expect(421);
    let twice = bare(&inspector, "GET /healthz HTTP/1.1").header(&own).header(&own);
    twice.send().await.expect(400);
    let elsewhere = bare(&inspector, "GET http://evil.example/healthz HTTP/1.1").header(&own);
    assert_eq!(elsewhere.send().await.expect(421).kind(), "wrong_host");
    let port = format!("Host: localhost:{}", inspector.address().port() ^ 1);
    bare(&inspector, "GET /healthz HTTP/1.1").header(&port).send().await.expect(421);
}

#[tokio::test]
async fn a_given_host_is_let_in() {
    let broker = Broker::builder().start().await.unwrap();
    let free = "127.0.0.1:0".parse().unwrap();
    let builder = || Inspector::builder(&broker).address(free);
    let inspector = builder().host("dev.example:8080").start().await.unwrap();
    let line = "GET /healthz HTTP/1.1";
    bare(&inspector, line).header("Host: dev.example:8080").send().await.expect(200);
    bare(&inspector, line).header("Host: dev.example").send().await.expect(421);
    let error = builder().host("http://dev").start().await.unwrap_err();
    assert!(matches!(error, ServeError::Host(_)), "{error}");
}

/// 405 and 404 come from behind the guard.
#[tokio::test]
async fn what_changes_something_comes_from_no_other_site() {
    let (_broker, inspector) = start().await;
    let own = format!("Origin: {}", inspector.url());
    let own = own.as_str();
    let json = "Content-Type: application/json";
    let form = "Content-Type: application/x-www-form-urlencoded";
    for (headers, status) in [
        (&[json][..], 405),
        (&["Content-Type: Application/JSON; charset=utf-8"], 405),
        (&[own, form], 405),
        (&[own, json, "Sec-Fetch-Site: same-origin"], 405),
        (&[json, "Sec-Fetch-Site: none"], 405),
        (&[][..], 415),
        (&[form], 415),
        (&["Content-Type: text/plain"], 415),
        (&["Content-Type: text/plain; a=application/json"], 415),
        (&[json, "Origin: null"], 403),
        (&[json, "Origin: http://evil.example"], 403),
        (&[json, "Origin: http://localhost"], 403),
        (&[json, "Origin: "], 403),
        (&[own, json, "Sec-Fetch-Site: cross-site"], 403),
        (&[json, "Sec-Fetch-Site: cross-site"], 403),
        (&[json, "Sec-Fetch-Site: same-site"], 403),
        (&[json, own, "Origin: http://evil.example"], 400),
        (&[json, json], 400),
    ] {
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let request = call(&inspector, method, "/api/v1/topics");
            let request = headers.iter().fold(request, |request, header| request.header(header));
            let answer = request.send().await;
            assert_eq!(answer.status, status, "{method} {headers:?}: {answer:?}");
            assert!(!answer.head.contains("access-control-"), "{answer:?}");
        }
    }
    // The origin is that of the page, by the name under which it was opened.
    let port = inspector.address().port();
    let by_name = bare(&inspector, "POST /api/v1/topics HTTP/1.1")
        .header(&format!("Host: localhost:{port}"))
        .header(json);
    by_name.header(own).send().await.expect(403);
}

#[tokio::test]
async fn a_get_changes_nothing_and_no_other_site_may_read_it() {
    let (broker, inspector) = start().await;
    producer(&broker).await.send(order("kept")).await.unwrap();
    let topics = broker.topics().await.unwrap();
    for path in all_paths() {
        let asked =
            call(&inspector, "GET", path).header("Origin: http://evil.example").send().await;
        assert!(!asked.head.contains("access-control-"), "{asked:?}");
    }
    // With the ends of all queues.
    assert_eq!(broker.topics().await.unwrap(), topics);
}

#[tokio::test]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    let (_broker, inspector) = start().await;
    let refused = bare(&inspector, "GET / HTTP/1.1").header("Host: evil.example").send().await;
    let mut answers = vec![refused];
    for path in all_paths() {
        answers.push(get(&inspector, path).await);
    }
    for answer in answers {
        for header in [
            "content-security-policy: default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'\r\n",
            "x-content-type-options: nosniff\r\n",
            "cross-origin-resource-policy: same-origin\r\n",
            "cache-control: no-store\r\n",
        ] {
            assert!(answer.head.contains(header), "{header}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn other_machines_need_a_password() {
    let broker = Broker::builder().start().await.unwrap();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let error = serve(&broker, address.parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, ServeError::NoPassword(_)), "{error}");
    }
    let builder = Inspector::builder(&broker).address("0.0.0.0:0".parse().unwrap());
    let builder = builder.password(Password::new("correct horse").unwrap());
    let inspector = builder.start().await.unwrap();
    let host = format!("Host: {}", inspector.url().replace("http://", ""));
    let asked = |path: &str| bare(&inspector, &format!("GET {path} HTTP/1.1")).header(&host);
    for path in all_paths() {
        let is_open = matches!(path, "/healthz" | "/readyz");
        let refused = asked(path).send().await;
        assert_eq!(refused.status, if is_open { 200 } else { 401 }, "{path}: {refused:?}");
        let wrong = "Authorization: Basic bWU6Y29ycmVjdCBob3JzRQ==";
        let refused = asked(path).header(wrong).send().await;
        assert_eq!(refused.status, if is_open { 200 } else { 401 }, "{path}: {refused:?}");
        if !is_open {
            assert!(refused.head.contains("www-authenticate: basic realm="), "{refused:?}");
        }
        // me:correct horse
        let right = "Authorization: Basic bWU6Y29ycmVjdCBob3JzZQ==";
        let taken = asked(path).header(right).send().await;
        assert!(matches!(taken.status, 200 | 400 | 404), "{path}: {taken:?}");
    }
    let elsewhere = bare(&inspector, "GET /healthz HTTP/1.1").header("Host: evil.example");
    elsewhere.send().await.expect(421);
}
