//! Behind one address there may be several registries. Which of them gets MetaHub's requests, and with them its
//! credentials, is the configuration's choice, never the client's.

use metahub_testkit::http::Request;
use metahub_testkit::server::Answer;
use metahub_testkit::stage::stage;

#[test]
fn a_clients_host_header_chooses_nothing() {
    let stage = stage().server(|_| Answer::new(404).acts()).start().unwrap();
    let paths = ["/v2/a/manifests/latest", "/v2/a/tags/list", "/metahub/v1/explain?image=a"];
    for path in paths {
        let request = Request::get(path).login("qnib-type1", "qnib-type1").header("host", "tenant.elsewhere.example");
        assert_eq!(stage.send(&request).status, 404, "{path}");
    }
    let received = stage.server().received("");
    assert_eq!(received.len(), paths.len());
    for request in received {
        assert_eq!(
            request.header("host"),
            Some(format!("127.0.0.1:{}", stage.server().port()).as_str()),
            "{}",
            request.path
        );
    }
}
